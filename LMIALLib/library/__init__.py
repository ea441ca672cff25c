"""The public library: what a researcher calls from a script or a notebook. `LMIALLib` exports its functions by name."""
