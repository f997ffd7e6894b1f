"""The accelerator as Verilog files."""

from hw.convert import convert
from hw.once import Emission
from hw.spec.config import SvpeConfig
from hw.top import Accelerator

TOP = "qnn_accelerator"


def verilog(config: SvpeConfig) -> dict[str, str]:
    """File name to text, with top module ``qnn_accelerator``; same configuration, same bytes."""
    emission = Emission()
    modules = {TOP: convert(Accelerator(config), TOP, emission)}
    while left := emission.modules.keys() - modules.keys():
        name = min(left)
        modules[name] = convert(emission.modules[name], name, emission)
    return {f"{name}.v": text for name, text in modules.items()}
