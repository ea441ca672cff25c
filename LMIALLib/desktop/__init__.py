"""The face in desktop 3D Slicer: Qt widgets around the workspace. qt, ctk and slicer are imported inside functions."""
