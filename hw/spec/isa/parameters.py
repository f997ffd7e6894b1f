"""The numbers of one channel's epilogue as a word of the parameter buffer holds them."""

from hw.spec.config import SvpeConfig
from hw.spec.isa.fields import Field, Layout


def parameters(config: SvpeConfig) -> Layout:
    """One channel's epilogue: ``((acc << left) + bias + (skip << skip_left)) >> right``."""
    return Layout(
        "PARAMETERS",
        (
            Field("bias", config.result_bits, signed=True),
            Field("left", config.shift_bits),
            Field("skip_left", config.shift_bits),
            Field("right", config.shift_bits),
        ),
    )
