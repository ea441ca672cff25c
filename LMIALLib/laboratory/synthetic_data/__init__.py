"""Whole synthetic data sets on disk: brains, histories of their lesions, scanners, and how they are split."""
