"""From nothing but scans: teachers, nnU-Net, a core-set of slices, few corrections."""
