"""What to do about PyTorch's operators that are not supported, by kind of operator."""

from collections.abc import Mapping

from qnn.frontend.aten.registry import SUPPORTED
from qnn.frontend.expansions_of_views import MOST_COLUMNS

TRAIN = "and train the network again"
KINDS = {
    f"multiply by the sigmoid of a tensor in its place, or use nn.SiLU {TRAIN}": ("glu",),
    # Arithmetic of two tensors, or with constants.
    f"attend to at most {MOST_COLUMNS} places, or use convolutions in place of a product of two "
    f"computed tensors {TRAIN}": (
        *("einsum", "tensordot", "inner", "dot", "outer"),
        *("scaled_dot_product_attention", "_scaled_dot_product_flash_attention_for_cpu"),
        *("_scaled_dot_product_flash_attention", "_scaled_dot_product_efficient_attention"),
        *("_native_multi_head_attention",),
    ),
    f"replace it with nn.BatchNorm2d {TRAIN}": ("renorm",),
    # Shapes and places.
    "neither convolutions nor copies of pixels give it: let the network end before it, and the "
    "host do the rest": (
        *("upsample_nearest3d", "_upsample_nearest_exact3d", "upsample_trilinear3d"),
        *("conv_transpose3d", "max_unpool3d", "grid_sampler_2d", "grid_sampler"),
        *("affine_grid_generator",),
    ),
    "compute it on the host, before or behind the network": (
        *("im2col", "tril", "triu", "meshgrid", "take"),
    ),
    "pad height and width alone": ("reflection_pad3d", "replication_pad3d", "_pad_circular"),
    "compute the new tensor as a whole, without writing into a part of one": (
        *("index_copy", "scatter", "masked_scatter", "scatter_add", "index_add", "slice_inverse"),
        *("scatter_reduce",),
    ),
    # Sums and choices over axes.
    "take the mean over space, x.mean((2, 3)), and let the layer behind it scale": (
        *("nansum", "cumprod"),
    ),
    "leave it out, and let the host choose from the outputs": (
        *("argmax", "argmin", "topk", "sort", "argsort", "multinomial", "nonzero", "unique"),
        *("median", "kthvalue", "mode", "searchsorted", "bucketize"),
    ),
    "take amax and amin one by one": ("aminmax",),
    "use nn.MaxPool2d with a kernel and a stride that give this size": (
        *("fractional_max_pool2d", "lp_pool2d"),
    ),
    "use nn.ReLU, or let the host decide; the network cannot choose by value": (
        *("any", "all", "cond", "while_loop", "map_impl", "scan"),
    ),
    # Layers of other data.
    "look vectors up on the host, and give them as an input": (
        *("embedding", "_embedding_bag", "embedding_bag", "one_hot"),
    ),
    "take the quantization out, and give the float model": (
        *("quantize_per_tensor", "quantize_per_channel", "dequantize", "dequantize_per_tensor"),
        *("fake_quantize_per_tensor_affine", "fake_quantize_per_channel_affine"),
        *("_fake_quantize_learnable_per_tensor_affine", "_make_per_tensor_quantized_tensor"),
    ),
    "leave grad modes, autocast and checkpointing out of forward": (
        *("wrap_with_set_grad_enabled", "wrap_with_autocast", "tag_activation_checkpoint"),
        *("autograd_function_apply", "wrap_activation_checkpoint"),
    ),
}
CURES: Mapping[str, str] = {name: cure for cure, names in KINDS.items() for name in names}


def cure_of(operator: str) -> str:
    """What a user can do about ``operator``, ``aten.silu``, which is not supported."""
    name = operator.rpartition(".")[2]
    return CURES.get(
        name, f"replace it, or keep it out of the quantized model; supported are {SUPPORTED}"
    )
