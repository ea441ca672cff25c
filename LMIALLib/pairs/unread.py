"""The value of what nobody read. One name for it everywhere."""

UNREAD = 255
"""Value of a voxel that nobody read (label volumes) or that training and metrics leave out (targets)."""
