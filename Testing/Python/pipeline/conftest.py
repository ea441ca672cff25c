"""Models of transformers are built by tests the way LMIAL loads them: without a torchvision that does not fit torch."""

from LMIALLib.pipeline.broken_torchvision import hide_broken_torchvision

hide_broken_torchvision()
