"""Float evaluation that gives exact integers, whatever the user has set for speed."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


@contextmanager
def exact() -> Iterator[None]:
    """No autocast, no TF32 or bfloat16 inside float32, no convolution that transforms its input.

    oneDNN's convolutions on the CPU are direct ones. cuDNN and NNPACK may choose Winograd or FFT,
    and are off.
    """
    # The user's settings come back when the block ends.
    precision = torch.get_float32_matmul_precision()
    with ExitStack() as stack:
        for device in ("cpu", "cuda"):
            stack.enter_context(torch.autocast(device, enabled=False))
        stack.enter_context(torch.backends.nnpack.flags(enabled=False))
        stack.enter_context(torch.backends.cudnn.flags(enabled=False, allow_tf32=False))
        stack.callback(torch.set_float32_matmul_precision, precision)
        torch.set_float32_matmul_precision("highest")
        yield
