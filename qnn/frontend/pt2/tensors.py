"""Weights and constants of a ``.pt2`` file: raw numbers, or a dictionary of tensors."""

import io
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from qnn.frontend.pt2.archive import AGAIN, Pt2Archive
from qnn.frontend.pt2.arguments import SCALAR_TYPES

# Members of releases before 2.8, which hold one dictionary each.
OLD = ("serialized_state_dict.pt", "serialized_constants.pt")
# Folders of newer ones, and what their lists of tensors are called behind the model's name.
NEW = (("data/weights/", "_weights_config.json"), ("data/constants/", "_constants_config.json"))


def tensors_of(archive: Pt2Archive) -> dict[str, Tensor]:
    """The tensors by their names in the model; those that share memory there are one object here.

    Raises
    ------
    ModelError
        One is no tensor, its numbers are not there, or only code could read it.
    """
    found: dict[str, Tensor] = {}
    for name in OLD:
        if name in archive.members:
            found |= _dictionary(archive, name)
    model = archive.program_name.removeprefix("models/").removesuffix(".json")
    for folder, end in NEW:
        # Of 2.8 alone: one dictionary in the folder of the others.
        if f"{folder}{model}.pt" in archive.members:
            found |= _dictionary(archive, f"{folder}{model}.pt")
        elif f"{folder}{model}{end}" in archive.members:
            found |= _listed(archive, folder, archive.json(f"{folder}{model}{end}"))
    return found


def _dictionary(archive, name) -> dict[str, Tensor]:
    data = archive.members[name]
    # Nothing was saved where a program has no constants.
    found = _unpacked(archive, name, data) if data else {}
    if not isinstance(found, Mapping):
        raise archive.refused(f"'{name}' needs to hold tensors by their names; {AGAIN}")
    for key, value in found.items():
        _check_tensor(archive, str(key), value)
    return dict(found)


def _unpacked(archive, name, data):
    """What PyTorch's reader of weights, which calls no code of a file, makes of a member."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception:  # any: a cut or foreign file raises many kinds
        raise archive.refused(
            f"'{name}' needs to hold tensors alone, not objects that only code could read; "
            f"export the model without them"
        ) from None


def _listed(archive, folder, listed) -> dict[str, Tensor]:
    entries = listed.get("config")
    if not isinstance(entries, dict):
        raise archive.refused(f"the list of '{folder}' needs tensors by their names; {AGAIN}")
    found, shared = {}, {}
    for key, entry in entries.items():
        try:
            place = f"{folder}{entry['path_name']}"
            # Of tied weights the same: the members say no more than that.
            same = (place, repr(entry.get("tensor_meta")))
            if same not in shared:
                shared[same] = _read(archive, key, place, entry)
        except (AttributeError, KeyError, TypeError):
            raise archive.refused(f"the tensor '{key}' needs a place and a type; {AGAIN}") from None
        found[key] = shared[same]
    return found


def _read(archive, key, place, entry) -> Tensor:
    if not entry["path_name"].startswith(("weight_", "tensor_")):
        raise archive.refused(
            f"'{key}' needs to be a tensor, not an object that only code could read; export the "
            f"model without it"
        )
    data = archive.members[place]
    if entry["use_pickle"]:
        found = _unpacked(archive, key, data)
        _check_tensor(archive, key, found)
        return found
    return _strided(archive, key, data, entry["tensor_meta"])


def _strided(archive, key, data: bytes, meta: dict[str, Any]) -> Tensor:
    """A tensor over a member's bytes, which PyTorch holds it to."""
    try:
        dtype = SCALAR_TYPES[meta["dtype"]]
        sizes, strides = (_numbers(meta[name]) for name in ("sizes", "strides"))
        offset = meta["storage_offset"]["as_int"]
        flat = (
            torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0, dtype=dtype)
        )
        return flat.as_strided(sizes, strides, offset)
    except (KeyError, TypeError, ValueError, RuntimeError, OverflowError):
        raise archive.refused(
            f"the tensor '{key}' needs as many numbers as its sizes say, but the file has others; "
            f"{AGAIN}"
        ) from None


def _numbers(sizes):
    return [size["as_int"] for size in sizes]


def _check_tensor(archive, key, value):
    if not isinstance(value, Tensor) or value.is_sparse or value.is_quantized:
        raise archive.refused(
            f"'{key}' needs to be a plain tensor, not {type(value).__name__}; export the model "
            f"without it"
        )
