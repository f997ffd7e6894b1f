"""The quantizers of a QONNX file whose scales are no powers of two, all of them in one line."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from qnn.errors import ModelError
from qnn.interchange.file_rules import QUANTIZERS
from qnn.interchange.qonnx_constants import ADVICE

if TYPE_CHECKING:
    from onnx import ModelProto

MOST_TOLD = 4


def check_scales(model: "ModelProto", constants: Mapping[str, object]) -> None:
    """Return if each scale that is a constant is a power of two.

    Raises
    ------
    ModelError
        Some are not; it names the first ones and says how many there are.
    """
    wrong = []
    for node in model.graph.node:
        if node.op_type not in QUANTIZERS or len(node.input) < 2:
            continue
        scale = constants.get(node.input[1])
        # What is no constant, or none of reals, is told where it is read.
        if not isinstance(scale, np.ndarray) or scale.dtype.kind != "f" or not scale.size:
            continue
        flat = scale.astype(np.float64).ravel()
        off = flat[np.frexp(flat)[0] != 0.5]
        if off.size:
            wrong.append(f"'{node.name or node.output[0]}' ({off[0]:g})")
    if not wrong:
        return
    several = len(wrong) > 1
    more = f" and {len(wrong) - MOST_TOLD} more" if len(wrong) > MOST_TOLD else ""
    raise ModelError(
        f"QONNX quantizers need scales that are powers of two, but {len(wrong)} "
        f"ha{'ve others' if several else 's another'}: {', '.join(wrong[:MOST_TOLD])}{more}; "
        f"{ADVICE}"
    )
