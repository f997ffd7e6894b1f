"""Runs an ONNX model in onnxruntime, on the CPU."""

import os
from collections.abc import Mapping

import numpy as np

from qnn.errors import ToolError, first_line
from qnn.interchange.packages import package

QUIET = 3  # onnxruntime's level of errors; warnings of it are of its own optimizations


def run_onnx(model: bytes, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every output of ``model``, by name.

    Raises
    ------
    ToolError
        onnxruntime refuses the model, or fails in it.
    """
    runtime = package("onnxruntime")
    # A session for each model: nothing of one run is left for the next.
    options = runtime.SessionOptions()
    options.log_severity_level = QUIET
    # As torch and NumPy are told how many cores to take; 0 is all.
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    try:
        session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        outputs = session.run(None, dict(inputs))
    except Exception as error:  # its errors have no class of their own that all versions have
        raise ToolError(f"onnxruntime cannot run the exported model: {first_line(error)}") from None
    return {each.name: found for each, found in zip(session.get_outputs(), outputs, strict=True)}
