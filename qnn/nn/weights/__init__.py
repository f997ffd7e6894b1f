"""Trained weights, read from the checkpoints that people have; nothing is ever unpickled."""

from qnn.nn.weights.load import load_weights
from qnn.nn.weights.loaded import LoadedWeights

__all__ = ["LoadedWeights", "load_weights"]
