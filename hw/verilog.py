"""The accelerator as Verilog files."""

from hw.convert import convert
from hw.spec.config import SvpeConfig
from hw.top import Accelerator

TOP = "qnn_accelerator"


def verilog(config: SvpeConfig) -> dict[str, str]:
    """File name to text, with top module ``qnn_accelerator``; same configuration, same bytes."""
    return {f"{TOP}.v": convert(Accelerator(config), TOP)}
