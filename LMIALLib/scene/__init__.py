"""Nodes of a pair in a MRML scene: images, overlays, drawing, navigation. Runs on slicer-core and in desktop Slicer."""
