"""The layer that takes what the user gives, reals or pixels, to the integers of the network."""

import torch
from torch import Tensor, nn

from qnn.errors import ModelError
from qnn.nn.layer_plans import InputPlan, type_of
from qnn.quant import activation
from qnn.quant.qtype import QType

PIXELS = 256  # that 8 bits tell apart


class QuantInput(nn.Module):
    """Reals to the input's grid."""

    operand_exponents = ()

    def __init__(self, plan: InputPlan):
        super().__init__()
        self.plan = plan
        self.register_buffer("exponent", torch.zeros((), dtype=torch.int64))
        shape = (plan.shape[0], PIXELS)
        table = None if plan.pixels is None else torch.zeros(shape, dtype=torch.int32)
        self.register_buffer("table", table)

    @property
    def type(self) -> QType:
        """The type of the result."""
        return type_of(self.plan, int(self.exponent))

    def forward(self, x: Tensor) -> Tensor:
        """Integers of reals, rounded half up; with a gain, of the pixels that they are nearest to.

        So an image's reals and its pixels give the same.

        Raises
        ------
        ModelError
            A number is NaN, which no integer stands for.
        """
        if bool(x.isnan().any()):
            raise ModelError(
                f"input '{self.plan.name}' takes finite numbers, but got NaN; clean the images"
            )
        if self.plan.gain is not None:
            return self.from_pixels(self.plan.pixels.nearest(x))
        # Rounded in float64, and then small enough for float32 to hold exactly.
        return activation.encode(x, self.type).to(torch.float32)

    def from_pixels(self, x: Tensor) -> Tensor:
        """Integers of 8-bit pixels, by the table; (batch, channels, height, width) uint8."""
        channels = torch.arange(len(self.table), device=x.device)[:, None, None]
        return self.table.to(torch.float32)[channels, x.long()]
