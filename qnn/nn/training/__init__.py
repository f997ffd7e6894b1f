"""Training of float and quantized models by one loop, reproducible from a seed."""

from qnn.nn.training.accuracy import accuracy
from qnn.nn.training.loop import Progress, TrainingReport, train
from qnn.nn.training.recipe import Recipe

__all__ = ["Progress", "Recipe", "TrainingReport", "accuracy", "train"]
