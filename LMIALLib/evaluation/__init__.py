"""How good it is: metrics, simulated readers, pictures and reports."""
