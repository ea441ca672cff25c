"""Figures of agreement, in one place for every room: arrays only, numpy, scipy and scikit-learn."""
