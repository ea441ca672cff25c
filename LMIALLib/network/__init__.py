"""The network room: the only room that knows torch. Architecture, weights file, prediction, training, pretraining.

Importing this package imports nothing heavy; torch is imported by the modules that need it.
"""
