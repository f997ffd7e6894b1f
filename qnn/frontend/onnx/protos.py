"""An ONNX file's bytes as a model of the onnx package; nothing in it is run or unpickled."""

from pathlib import Path
from types import ModuleType
from typing import Any

from qnn.errors import ModelError, PathError
from qnn.files import read_at_most
from qnn.interchange.file_rules import check_no_integers
from qnn.interchange.packages import package

# The operators are those of these versions; older files differ in Upsample, Pad and Slice alone,
# which are read too, so that 7 is where the batch norms of training end.
OLDEST, NEWEST = 7, 25
STANDARD = ("", "ai.onnx")  # domains of ONNX's own operators
MOST_BYTES = (1 << 31) - 1  # of a file without its external weights, as protobuf has it


def onnx_package() -> ModuleType:
    """The onnx package.

    Raises
    ------
    ToolError
        It is not installed.
    """
    return package("onnx")


def read_proto(path: Path) -> Any:
    """The model in ``path`` as a ``ModelProto``, whose graph and versions are there.

    Raises
    ------
    QnnError
        There is no such file, or it is no ONNX model of versions that are known.
    """
    onnx = onnx_package()
    try:
        data = read_at_most(path, MOST_BYTES)
    except OSError as error:
        raise PathError(f"{path}: cannot be read ('{error.strerror}'); correct the path") from None
    # Protobuf itself would say that the file is broken.
    if data is None:
        raise ModelError(
            f"{path}: an ONNX file needs less than 2 GiB, and its larger weights in files beside "
            f"it; save it with external data"
        )
    try:
        model = onnx.ModelProto.FromString(data)
    except Exception:  # any: protobuf's own kinds differ by its release
        model = None
    if model is None or not model.HasField("graph") or not model.graph.node:
        raise ModelError(
            f"{path}: not an ONNX model, or cut short; export it again, or copy all of it"
        )
    check_no_integers(path, model)
    _check_versions(path, model)
    return model


def opset_of(model: Any) -> int:
    """The version of ONNX's own operators that the file was written with."""
    return next((each.version for each in model.opset_import if each.domain in STANDARD), 0)


def _check_versions(path, model):
    version = opset_of(model)
    if not OLDEST <= version <= NEWEST:
        raise ModelError(
            f"{path}: an ONNX model needs opset {OLDEST} to {NEWEST}, not {version}; export it "
            f"again with opset 17"
        )
    if model.functions:
        raise ModelError(
            f"{path}: an ONNX model needs operators alone, but has functions of its own, as "
            f"'{model.functions[0].name}'; inline them with onnx.inliner.inline_local_functions"
        )
