"""What onnxruntime's optimizer makes of several nodes, as files that it has saved have them."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.frontend.onnx.call import OnnxCall, Reader
from qnn.frontend.onnx.layers import gemm, matmul
from qnn.frontend.onnx.named import named
from qnn.frontend.onnx.windows import convolution


def fused_convolution(call: OnnxCall) -> Tensor:
    """FusedConv: a convolution, a sum with its fourth operand, and a function."""
    found = convolution(call)
    found = found if call.tensor(3) is None else found + call[3]
    first, *second = call.attribute("activation_params", []) or [None]
    return _activated(call, found, first, *second)


def fused_gemm(call: OnnxCall) -> Tensor:
    """FusedGemm: a Gemm and a function."""
    constants = (call.attribute(f"activation_{name}") for name in ("alpha", "beta"))
    return _activated(call, gemm(call), *constants)


def _activated(call, x, alpha=None, beta=None, *_):
    name = call.attribute("activation", "")
    if not name:
        return x
    pairs = {"alpha": alpha, "beta": beta}
    given = {n: iter([] if each is None else [each]) for n, each in pairs.items()}
    return named(call, name, given)(x)


def fused_product(call: OnnxCall) -> Tensor:
    """FusedMatMul: a product of matrices, which may be transposed, and a factor."""
    call.require(
        not call.attribute("transBatchA", 0) and not call.attribute("transBatchB", 0),
        "matrices in their last two axes",
        "others",
        "save the model before it is optimized",
    )
    pair = [
        each.mT if call.attribute(name, 0) and each.dim() > 1 else each
        for each, name in ((call[0], "transA"), (call[1], "transB"))
    ]
    found = matmul(OnnxCall(call.node, pair, call.known, call.constants, call.exact))
    alpha = call.attribute("alpha", 1.0)
    return found if alpha == 1 else found * alpha


def bias_gelu(call: OnnxCall) -> Tensor:
    """BiasGelu."""
    return F.gelu(call[0] + call[1])


def fast_gelu(call: OnnxCall) -> Tensor:
    """FastGelu, by tanh, of the sum with a bias where there is one."""
    x = call[0] if call.tensor(1) is None else call[0] + call[1]
    return F.gelu(x, approximate="tanh")


def skip_layer_norm(call: OnnxCall) -> tuple[Tensor, ...]:
    """SkipLayerNormalization: of a sum, which is its fourth result."""
    total = call[0] + call[1]
    total = total if call.tensor(4) is None else total + call[4]
    eps, shape = call.attribute("epsilon", 1e-12), total.shape[-1:]
    found = F.layer_norm(total, shape, call[2], call.tensor(3), eps)
    # Statistics, of training alone.
    nothing = torch.empty(0, device=total.device)
    return found, nothing, nothing, total


OPERATORS: Mapping[str, Reader] = {
    "com.microsoft.FusedConv": fused_convolution,
    "com.microsoft.FusedGemm": fused_gemm,
    "com.microsoft.FusedMatMul": fused_product,
    "com.microsoft.BiasGelu": bias_gelu,
    "com.microsoft.FastGelu": fast_gelu,
    "com.microsoft.SkipLayerNormalization": skip_layer_norm,
}
