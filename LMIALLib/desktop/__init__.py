"""The face in desktop 3D Slicer: Qt widgets that show the desk. qt, ctk and slicer are imported inside functions."""
