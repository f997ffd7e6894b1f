"""Trains, compiles and proves neural networks without multipliers; names load on first use."""

from importlib import import_module

_PUBLIC = {  # name: module that defines it
    "quantize": "qnn.ptq.quantize",
    "from_onnx": "qnn.frontend.onnx.read",
    "from_pt2": "qnn.frontend.pt2.read",
    "load_weights": "qnn.nn.weights.load",
    "Auto": "qnn.ptq.auto.options",
    "Budget": "qnn.ptq.sensitivity",
    "train": "qnn.nn.training",
    "Recipe": "qnn.nn.training",
    "evaluate": "qnn.ptq.evaluate",
    "export": "qnn.ptq.export",
    "compile": "qnn.design",
    "cycles_on": "qnn.cycles",
    "Design": "qnn.design",
    "Graph": "qnn.ir.graph",
    "Codes": "qnn.ir.codes",
    "simulate": "sim.simulate",
    "verify": "sim.verify",
    "to_onnx": "qnn.interchange.to_onnx",
    "to_qonnx": "qnn.interchange.to_qonnx",
    "from_qonnx": "qnn.interchange.from_qonnx",
    "QnnError": "qnn.errors",
    "save": "qnn.store",
    "load": "qnn.store",
}
__all__ = sorted(_PUBLIC)


def __dir__():
    return __all__


def __getattr__(name):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'qnn' has no attribute '{name}'")
    # On first use: `import qnn` takes milliseconds, torch takes seconds.
    return getattr(import_module(_PUBLIC[name]), name)
