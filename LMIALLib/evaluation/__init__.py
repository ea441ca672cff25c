"""How good it is: a simulated reader, pictures, the demo and its report."""
