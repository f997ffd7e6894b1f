"""Trained weights, read from the checkpoints that people have; nothing is ever unpickled."""

from qnn.nn.weights.load import load_weights

__all__ = ["load_weights"]
