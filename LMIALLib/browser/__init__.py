"""The face in a browser: LMIAL on Slicer's own MRML core. The only room that knows trame."""
