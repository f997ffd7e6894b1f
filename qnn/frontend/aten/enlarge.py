"""ATen's operators that enlarge: transposed convolution, resampling, pads of copies, shuffles."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.frontend.aten.call import Call
from qnn.frontend.ops.conv import FloatConv
from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.ops.pixel_shuffle import PixelShuffle
from qnn.frontend.ops.resample import Resample
from qnn.frontend.ops.transposed_conv import TransposedConv
from qnn.frontend.passes.lower_resamples import parts_of
from qnn.ir.window import Pair, Window

# Of one axis: each is a convolution, so that more would be networks of thousands.
MOST_PARTS = 512
MODES = {
    "aten.upsample_nearest1d": {"mode": "nearest"},
    "aten.upsample_nearest2d": {"mode": "nearest"},
    "aten._upsample_nearest_exact1d": {"mode": "nearest-exact"},
    "aten._upsample_nearest_exact2d": {"mode": "nearest-exact"},
    "aten.upsample_linear1d": {"mode": "bilinear"},
    "aten.upsample_bilinear2d": {"mode": "bilinear"},
    "aten.upsample_bicubic2d": {"mode": "bicubic"},
    "aten._upsample_bilinear2d_aa": {"mode": "bilinear", "antialias": True},
    "aten._upsample_bicubic2d_aa": {"mode": "bicubic", "antialias": True},
}
PADS = {
    "aten.reflection_pad1d": "reflect",
    "aten.reflection_pad2d": "reflect",
    "aten.replication_pad1d": "replicate",
    "aten.replication_pad2d": "replicate",
}


def transposed(call: Call) -> TransposedConv:
    """A transposed convolution of an image or a sequence."""
    weight = call.weight("weight")
    # A sequence is an image of one column.
    is_line = weight.dim() == 3
    return TransposedConv(
        name=call.name,
        inputs=(call.source().name,),
        shape=call.shape,
        weight=weight[..., None] if is_line else weight,
        bias=call.weight("bias"),
        stride=_pair(call, "stride", is_line, 1),
        padding=_pair(call, "padding", is_line, 0),
        more=_pair(call, "output_padding", is_line, 0),
        dilation=_pair(call, "dilation", is_line, 1),
        groups=call["groups"],
    )


def _pair(call: Call, key: str, is_line: bool, across: int) -> Pair:
    sizes = call[key]
    first, *_, last = [sizes] * 2 if isinstance(sizes, int) else [*sizes] * 2
    return first, across if is_line else last


def upsample(call: Call) -> FloatOperator:
    """A resampling in which each axis is a product with a matrix, which PyTorch tells."""
    given = {**MODES[call.site.operator]}
    if "align_corners" in call.arguments:
        given["align_corners"] = call["align_corners"]
    # One list, or an argument for each axis; a sequence has one axis.
    each = [call.get(key) for key in ("scales_h", "scales_w", "scales") if key in call.arguments]
    scales = list(call.get("scale_factors") or ()) or each
    if given.get("antialias") and call.shape[2] == 1:
        # PyTorch's own result is of other pixels there.
        raise call.refuse("more than one column", "one of antialiasing", "leave antialias out")
    # The result's shape tells the size.
    call.neutral("output_size")

    def matrix(size, result, axis):
        # The scale that a user gives need not be that of the sizes.
        scale = scales[axis] if axis < len(scales) else None
        fits = scale is None or (math.isfinite(scale) and int(size * scale) == result)
        if not fits:
            got = f"a scale of {scale} from {size} to {result}"
            raise call.refuse("the scale of the sizes", got, "give the size or the scale alone")
        to = {"size": (result, 2)} if scale is None else {"scale_factor": (scale, 1.0)}
        return F.interpolate(_identity(size), **to, **given)

    return _resampled(call, matrix)


def pad(call: Call) -> FloatOperator:
    """Padding by copies of the image's own pixels."""
    call.neutral("value")
    return _padded(call, list(call["pad"]), call["mode"])


def pad_by_name(call: Call) -> FloatOperator:
    """The same, of operators that each have one mode."""
    return _padded(call, list(call["padding"]), PADS[call.site.operator])


def _padded(call: Call, amounts: list[int], mode: str) -> FloatOperator:
    if len(amounts) > 4:
        raise call.refuse("padding of height and width", f"{amounts}", "pad these alone")
    if call.rank() < 3:
        needs, do = "sequences or images", "give it an axis of channels before, as unsqueeze(1)"
        raise call.refuse(needs, "vectors to pad by copies", do)
    # F.pad counts from the last axis; a sequence has one, which lies along the height.
    axes = [amounts[2:4], amounts[:2]] if call.rank() == 4 else [amounts[:2], [0, 0]]

    def matrix(size, result, axis):
        before, behind = axes[axis] or (0, 0)
        return F.pad(_identity(size), (0, 0, before, behind), mode=mode)

    return _resampled(call, matrix)


def _identity(size: int) -> Tensor:
    """Channels of columns that are alike, each channel with a 1 in a row of its own."""
    # Of a single column, PyTorch's antialiasing mistakes the strides.
    return torch.eye(size)[None, :, :, None].repeat(1, 1, 1, 2)


def _resampled(call: Call, of_axis) -> FloatOperator:
    source, shape = call.source(), call.shape
    matrices = []
    for axis, (size, result) in enumerate(zip(source.shape[1:], shape[1:], strict=True)):
        matrix = of_axis(size, result, axis)[0, :, :, 0].T.contiguous()
        parts = parts_of(matrix)[1]
        if len(parts) > MOST_PARTS:
            raise call.refuse(
                f"at most {MOST_PARTS} rows or columns with weights of their own",
                f"{len(parts)}, from {size} to {result}",
                "resample by an integer factor, with align_corners=False",
            )
        matrices.append(matrix)
    if shape == source.shape and all(bool((m == torch.eye(len(m))).all()) for m in matrices):
        return source
    rows, columns = matrices
    return Resample(name=call.name, inputs=(source.name,), shape=shape, rows=rows, columns=columns)


def pixel_shuffle(call: Call) -> PixelShuffle:
    """Channels that become pixels."""
    return PixelShuffle(
        name=call.name,
        inputs=(call.source().name,),
        shape=call.shape,
        factor=call["upscale_factor"],
    )


def pixel_unshuffle(call: Call) -> FloatConv:
    """Pixels that become channels: each picks one pixel of a block."""
    source, factor = call.source(), call["downscale_factor"]
    places = torch.eye(factor**2).reshape(-1, 1, factor, factor)
    return FloatConv(
        name=call.name,
        inputs=(source.name,),
        shape=call.shape,
        window=Window(kernel=(factor, factor), stride=(factor, factor), groups=source.shape[0]),
        weight=places.repeat(source.shape[0], 1, 1, 1),
        fixed=True,
    )


OPERATORS = {
    "aten.conv_transpose1d": transposed,
    "aten.conv_transpose2d": transposed,
    **dict.fromkeys(MODES, upsample),
    **dict.fromkeys(PADS, pad_by_name),
    "aten.pixel_shuffle": pixel_shuffle,
    "aten.pixel_unshuffle": pixel_unshuffle,
}
