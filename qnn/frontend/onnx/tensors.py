"""Constants of an ONNX file as tensors, also those in files beside it, whose paths are checked."""

import os
from math import prod
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qnn.errors import ModelError
from qnn.files import open_file
from qnn.frontend.onnx.protos import onnx_package

MOST_VALUES = 1 << 29  # of one tensor: 2 GiB of reals, more than any network that fits has
# What ONNX counts with and PyTorch hardly does.
WIDER = {np.dtype(t): np.int64 for t in (np.uint16, np.uint32, np.uint64)}


def tensor_of(proto: Any, folder: Path) -> Tensor:
    """The values of a ``TensorProto``; reals of any width are float32.

    Raises
    ------
    ModelError
        It has other values than its shape says, or its file lies elsewhere.
    """
    onnx = onnx_package()
    name = proto.name
    if any(size < 0 for size in proto.dims) or prod(proto.dims) > MOST_VALUES:
        raise ModelError(
            f"constant '{name}' needs at most {MOST_VALUES:,} values, not {list(proto.dims)}; "
            f"export the model again"
        )
    try:
        external = proto.data_location == onnx.TensorProto.EXTERNAL
        found = _external(proto, folder) if external else onnx.numpy_helper.to_array(proto)
        return as_tensor(found)
    except ModelError:
        raise
    except Exception:  # any: what numpy and onnx raise for values that do not fit their shape
        raise ModelError(
            f"constant '{name}' needs the values that its shape {list(proto.dims)} says, but has "
            f"others; export the model again, or copy all of it"
        ) from None


def as_tensor(array: np.ndarray) -> Tensor:
    """A tensor of the same values."""
    # Reals of half the width and of 8 bits are types of their own, which numpy does not know.
    if array.dtype.kind in "fV" or array.dtype.name.startswith(("bfloat", "float")):
        array = array.astype(np.float32)
    elif array.dtype.name in ("int4", "uint4", "int2", "uint2"):
        array = array.astype(np.int8 if array.dtype.name.startswith("int") else np.uint8)
    # In a copy of its own: what was read may be a view of the file's bytes.
    array = array.astype(WIDER.get(array.dtype, array.dtype))
    return torch.from_numpy(np.array(array, order="C"))


def _external(proto, folder):
    onnx = onnx_package()
    # A file of weights is bytes alone: where they begin, and how many there are.
    entries = {each.key: each.value for each in proto.external_data}
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(proto.data_type))
    size = prod(proto.dims) * dtype.itemsize
    start = int(entries.get("offset") or 0)
    if int(entries.get("length") or size) != size or start < 0:
        raise ValueError("another size than that of its shape")
    path = external_path(entries.get("location", ""), folder, proto.name)
    try:
        with open_file(path) as file:
            # Asked first: whoever reads so many bytes is given memory for all of them.
            if os.fstat(file.fileno()).st_size < start + size:
                raise ValueError("fewer bytes than its shape says")
            file.seek(start)
            data = file.read(size)
    except OSError as error:
        raise ModelError(
            f"constant '{proto.name}' needs the file '{path.name}' beside the model, but it cannot "
            f"be read ('{error.strerror}'); copy it there"
        ) from None
    return np.frombuffer(data, dtype=dtype).reshape(proto.dims)


def external_path(location: str, folder: Path, name: str) -> Path:
    """The file of constant ``name``, which must lie in the model's folder.

    Raises
    ------
    ModelError
        The path is absolute, leads upwards, or is a link that leads out of the folder.
    """
    both = PurePosixPath(location), PureWindowsPath(location)
    leaves = any(path.is_absolute() or path.drive or ".." in path.parts for path in both)
    if not leaves and location and "\0" not in location:
        path = folder / location
        if path.resolve().is_relative_to(folder.resolve()):
            return path
    raise ModelError(
        f"constant '{name}' needs a file in the model's folder, not '{location}'; save the model "
        f"with its weights beside it"
    )
