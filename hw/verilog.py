"""The accelerator as Verilog files."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from hw.array import PE
from hw.circuits import Words
from hw.convert import convert
from hw.interfaces import annotated
from hw.mapped import Mapped
from hw.maxima import MAXIMA, Maxima
from hw.once import Emission
from hw.pe import ProcessingElement
from hw.pick import PICK, Pick
from hw.scale import SCALE, Scale
from hw.spec.config import SvpeConfig
from hw.spec.verilog_files import TOP
from hw.top import Accelerator

# Texts of as many configurations stay in a process: at up to 6 MB each, 48 MB.
KEPT = 8
# What stands in the design many times or is wide, so that cells of its own choice pay.
MAPPED = {PE: ProcessingElement, PICK: Pick, MAXIMA: Maxima, SCALE: Scale}  # by module name


@lru_cache(KEPT)  # elaboration takes seconds: build, simulation and synthesis share one
def verilog(config: SvpeConfig, *, mapped: bool = False) -> Mapping[str, str]:
    """File name to text, with top module ``qnn_accelerator``; same configuration, same bytes.

    Parameters
    ----------
    mapped : the components of ``MAPPED`` as UltraScale+ cells, for synthesis; else as words, which
        any tool takes and which simulate fast. All else is the same.
    """
    sources = files(Accelerator(config), TOP, mapped=mapped)
    return MappingProxyType({**sources, f"{TOP}.v": annotated(sources[f"{TOP}.v"], TOP)})


@lru_cache(KEPT)
def mapped_files(config: SvpeConfig) -> Mapping[str, str]:
    """The files of ``verilog`` that differ where ``mapped``: synthesis may take them instead."""
    made: dict[str, str] = {}
    for module, part in MAPPED.items():
        made |= files(part(config), module, mapped=True)
    return MappingProxyType(made)


def files(component, name: str, *, mapped: bool = False) -> dict[str, str]:
    """File name to text: ``component`` as module ``name``, and what it takes ``once``."""
    emission = Emission(Mapped if mapped else Words)
    modules = {name: convert(component, name, emission)}
    while left := emission.modules.keys() - modules.keys():
        # In alphabetical order, so that the same design gives the same files.
        module = min(left)
        modules[module] = convert(emission.modules[module], module, emission)
    return {f"{module}.v": text for module, text in modules.items()}
