"""Trains, compiles and proves neural networks without multipliers; names load on first use."""

from importlib import import_module

_PUBLIC = {  # name: module that defines it
    "quantize": "qnn.graph.quantize",
    "Budget": "qnn.graph.sensitivity",
    "train": "qnn.nn.training",
    "Recipe": "qnn.nn.training",
    "export": "qnn.graph.export",
    "compile": "qnn.design",
    "Design": "qnn.design",
    "Graph": "qnn.graph.ir",
    "simulate": "sim.simulate",
    "verify": "sim.verify",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'qnn' has no attribute '{name}'")
    return getattr(import_module(_PUBLIC[name]), name)
