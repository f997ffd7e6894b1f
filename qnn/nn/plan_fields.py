"""The layers of a plan in a model's file: what its fields mean, and how they must fit together.

A file has a layer's window as fields of the layer, a kernel only where no weight says it, and
the mean and std of an only input's pixels as they are; of several inputs, one entry for each.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from math import inf

from qnn.fields import FieldsError, typed
from qnn.nn.layer_plans import (
    KINDS,
    ConvPlan,
    InputPlan,
    LayerPlan,
    MaxPoolPlan,
    MultiplyPlan,
)
from qnn.nn.preprocess import pixels_of


def layer_fields(layer: LayerPlan) -> dict:
    """Plain values for JSON, the layer's kind among them."""
    fields = {"kind": type(layer).__name__, **asdict(layer)}
    # Left out where they are as usual, so that files of networks without them stay as they were.
    for name, usual in (("zero_point", 0), ("gain", None)):
        if fields.get(name, usual) == usual:
            fields.pop(name, None)
    if isinstance(layer, InputPlan):
        return fields | {"pixels": layer.pixels is not None}
    if fields.get("function", 0) is None:
        del fields["function"], fields["index_bits"]
    if "window" in fields:
        fields |= fields.pop("window")
        del fields["groups" if isinstance(layer, MaxPoolPlan) else "kernel"]
    return fields


def layer_of(number: int, fields: dict) -> LayerPlan:
    """The layer whose ``layer_fields`` gave ``fields``; it is layer ``number`` of its file.

    Raises
    ------
    FieldsError
        They are no layer's; the error names the place in the file.
    """
    kind = KINDS.get(str(fields.pop("kind", None)))
    try:
        if kind is None:
            raise FieldsError(f"a kind of {', '.join(KINDS)}", "another")
        # What pixels stand for is written once for all inputs, beside the layers.
        if kind is InputPlan:
            fields["pixels"] = None
        if kind in (ConvPlan, MaxPoolPlan):
            parts = ("kernel", "stride", "padding", "dilation", "groups")
            window = {part: fields.pop(part) for part in parts if part in fields}
            window.setdefault("kernel", _kernel(fields.get("weight_shape")))
            fields["window"] = window
        return typed(kind, fields)
    except FieldsError as error:
        raise error.inside(number).inside("layers") from None


def _kernel(weight_shape):
    # Of another shape than weights have, this is no kernel either, and is refused as none.
    return weight_shape[2:] if isinstance(weight_shape, list | tuple) else None


def check_names(
    layers: Sequence[LayerPlan], outputs: Sequence[tuple[str, tuple[int, ...]]]
) -> None:
    """Return if operands are computed before, as the network is built in this order.

    Raises
    ------
    FieldsError
        A layer's operands are others than its kind takes, or an output has no layer.
    """
    known = {None: False}  # names to whether the tensor may be read
    for layer in layers:
        readable = [known.get(name, False) for name in layer.inputs]
        counts = {InputPlan: (0,), ConvPlan: (1, 2), MultiplyPlan: (2,), MaxPoolPlan: (1,)}
        counts = counts.get(type(layer))
        right = len(readable) in counts if counts else len(readable) > 0
        if not right or not all(readable) or layer.name in known:
            wrong = ", ".join(layer.inputs) or "none"
            raise FieldsError(f"a name of its own and earlier operands in '{layer.name}'", wrong)
        # Whole sums are wider than any activation, so that no layer reads them.
        known[layer.name] = getattr(layer, "rounded", True)
    for name, _ in outputs:
        if name not in known:
            raise FieldsError("layers for its outputs", f"none for '{name}'")
    if not outputs or all(layer.inputs for layer in layers):
        raise FieldsError("an input and an output", "none")


def _check_gain(layer, mean):
    channels = layer.shape[0]
    whole = mean is not None and len(layer.gain or ()) == channels
    if layer.gain is not None and not (whole and all(0 < each < inf for each in layer.gain)):
        needs = f"mean, std and a positive gain of {channels} channels of '{layer.name}'"
        raise FieldsError(needs, "others")


def with_pixels(layers: Sequence[LayerPlan], mean: object, std: object) -> tuple[LayerPlan, ...]:
    """The layers, with what the pixels of each input stand for.

    Raises
    ------
    FieldsError
        ``mean`` and ``std`` are not those of a file, or of another number of inputs.
    """
    inputs = [layer for layer in layers if not layer.inputs]
    means, stds = (mean, std) if len(inputs) > 1 else ((mean,), (std,))
    each = tuple[tuple[float, ...] | None, ...]
    means, stds = typed(each, means), typed(each, stds)
    if not len(inputs) == len(means) == len(stds):
        raise FieldsError(f"mean and std of {len(inputs)} inputs", f"of {len(means)}")
    for layer, m in zip(inputs, means, strict=True):
        _check_gain(layer, m)
    pixels = {
        layer.name: pixels_of(layer.name, layer.shape[0], m, s)
        for layer, m, s in zip(inputs, means, stds, strict=True)
    }
    return tuple(
        replace(layer, pixels=pixels[layer.name]) if layer.name in pixels else layer
        for layer in layers
    )
