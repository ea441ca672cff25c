"""Figures of agreement that several rooms need. Floor 1, numpy and scipy only."""
