"""The accelerator as Verilog files."""

from hw.convert import convert
from hw.once import Emission
from hw.spec.config import SvpeConfig
from hw.top import Accelerator

TOP = "qnn_accelerator"


def verilog(config: SvpeConfig) -> dict[str, str]:
    """File name to text, with top module ``qnn_accelerator``; same configuration, same bytes."""
    return files(Accelerator(config), TOP)


def files(component, name: str) -> dict[str, str]:
    """File name to text: ``component`` as module ``name``, and what it takes ``once``."""
    emission = Emission()
    modules = {name: convert(component, name, emission)}
    while left := emission.modules.keys() - modules.keys():
        module = min(left)
        modules[module] = convert(emission.modules[module], module, emission)
    return {f"{module}.v": text for module, text in modules.items()}
