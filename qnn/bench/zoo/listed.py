"""The list of networks that ``qnn bench zoo`` measures: one a line, with what each takes."""

import re
from dataclasses import dataclass
from pathlib import Path

from qnn.errors import ModelError
from qnn.files import read_file

Shape = tuple[int, ...]
SIZES = re.compile(r"[1-9][0-9]*(,[1-9][0-9]*)*(;[1-9][0-9]*(,[1-9][0-9]*)*)*")
FORM = "[FAMILY] MODULE:FACTORY SHAPES, as 'resnet tv:resnet18 3,224,224'"


@dataclass(frozen=True)
class ListedNetwork:
    """A network to measure.

    Members
    -------
    family : of like networks, for tables; the module where the line names none
    source : a module, or a library of ``build.LIBRARIES``
    factory : what the module, or the library, calls it
    shapes : of one image of each input, without the batch
    """

    family: str
    source: str
    factory: str
    shapes: tuple[Shape, ...]

    @property
    def name(self) -> str:
        """``SOURCE:FACTORY``, by which results are known."""
        return f"{self.source}:{self.factory}"


def read_list(path: Path) -> list[ListedNetwork]:
    """The networks of a file: ``[FAMILY] MODULE:FACTORY SHAPES`` a line, ``#`` before comments.

    Sizes of a shape stand with commas between them, and shapes of several inputs with semicolons.

    Raises
    ------
    ModelError
        The file cannot be read, a line has another form, or two have one name.
    """
    try:
        text = read_file(path).decode()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); name a file") from None
    except UnicodeDecodeError:
        raise ModelError(f"{path}: needs to be text; name a list of networks") from None
    found: dict[str, ListedNetwork] = {}
    for number, line in enumerate(text.split("\n"), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        network = _network(words)
        if network is None:
            raise ModelError(f"{path}: line {number} needs {FORM}, not '{line.strip()}'; mend it")
        # Results are found again by their names.
        if network.name in found:
            raise ModelError(
                f"{path}: line {number} has '{network.name}' a second time; remove one of both"
            )
        found[network.name] = network
    if not found:
        raise ModelError(f"{path}: needs a network a line, but has none; write {FORM}")
    return list(found.values())


def _network(words):
    """The network of a line, None if it is of another form."""
    if len(words) not in (2, 3) or not SIZES.fullmatch(words[-1]):
        return None
    # From the back, as the family in front may be left out.
    source, colon, factory = words[-2].partition(":")
    if not colon or not source or not factory:
        return None
    shapes = tuple(tuple(map(int, shape.split(","))) for shape in words[-1].split(";"))
    return ListedNetwork(words[0] if len(words) == 3 else source, source, factory, shapes)
