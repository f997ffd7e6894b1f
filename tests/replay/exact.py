"""Weights and pixels that are the same numbers on every machine: bytes of a hash, scaled by 2**n.

Bytes of SHAKE-128 depend on nothing but their name, and 8-bit integers times powers of two are
exact in floating point, so that no library's random numbers or vector width decides a code.
"""

import hashlib
import math

import torch
from torch import Tensor, nn


def unit(name: str, shape: tuple[int, ...]) -> Tensor:
    """Multiples of 1/128 from -1 to 127/128, float32."""
    count = math.prod(shape)
    data = bytearray(hashlib.shake_128(name.encode()).digest(count))
    return torch.frombuffer(data, dtype=torch.int8).reshape(shape).float() / 128


def pixels(name: str, shape: tuple[int, ...]) -> Tensor:
    """Values from 0 to 255, uint8."""
    data = bytearray(hashlib.shake_128(name.encode()).digest(math.prod(shape)))
    return torch.frombuffer(data, dtype=torch.uint8).reshape(shape)


@torch.no_grad()
def fill(model: nn.Module, name: str) -> None:
    """Give ``model`` weights for which activations keep about their size from layer to layer."""
    for path, tensor in model.state_dict().items():
        if not tensor.is_floating_point():
            continue
        values = unit(f"{name}/{path}", tuple(tensor.shape))
        kind = path.rpartition(".")[2]
        if tensor.dim() > 1:
            # uniform values times 2**-n have a deviation of 0.58 * 2**-n; with ReLU before them,
            # sums of fan_in products keep their size where that is about (2 / fan_in)**0.5
            fan_in = tensor[0].numel()
            values *= 2.0 ** -((fan_in.bit_length() - 2) // 2)
        else:
            values = values / 4 + (kind in ("weight", "running_var"))
        tensor.copy_(values)


@torch.no_grad()
def replaced(tensor: Tensor, name: str) -> Tensor:
    """Values of the same greatest magnitude along the first axis, to a power of two; zeros stay."""
    values = unit(name, tuple(tensor.shape)) * (tensor != 0)
    if tensor.dim() == 0:
        return values
    scales = [_power(part) for part in tensor]
    return values * torch.tensor(scales).reshape(-1, *[1] * (tensor.dim() - 1))


@torch.no_grad()
def replace_all(model: nn.Module, name: str) -> None:
    """Take exact numbers for the weights and statistics of ``model``, at their scales."""
    for path, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            values = replaced(tensor, f"{name}/{path}")
            positive = path.endswith("running_var")
            tensor.copy_(values.abs() + 2.0**-5 if positive else values)


def _power(values: Tensor) -> float:
    greatest = float(values.abs().max())
    return 2.0 ** round(math.log2(greatest)) if greatest else 0.0
