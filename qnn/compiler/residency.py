"""Where weights and epilogue numbers lie on chip, and when they are loaded."""

from dataclasses import dataclass

from hw.spec.config import SvpeConfig
from hw.spec.isa.header import TOKEN_BITS
from qnn.compiler.lower import Work
from qnn.errors import CompileError

MOST_RESIDENT_CHUNKS = 1 << (TOKEN_BITS - 1)  # their loads never wait, and each gives a token


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Works ``first`` to before ``last`` whose words are loaded together."""

    first: int
    last: int
    weights: int  # words
    parameters: int  # words
    weight_address: int
    parameter_address: int


def resident(works: list[Work], config: SvpeConfig) -> bool:
    """Whether the buffers hold all of the network."""
    weights, parameters = _sizes(works)
    return weights <= config.weight_words and parameters <= config.parameter_words


def chunks(works: list[Work], config: SvpeConfig) -> list[Chunk]:
    """Whole layers where everything fits; else chunks of half a buffer, in a ring.

    Raises
    ------
    CompileError
        One instruction's weights do not fit.
    """
    for work in works:
        check_group(work.name, work.weight_words, config)
    fits = resident(works, config)
    limits = (config.weight_words, config.parameter_words)
    weight_ring, parameter_ring = Ring(limits[0]), Ring(limits[1])
    result = []
    for first, last in _cuts(works, limits if fits else (limits[0] // 2, limits[1] // 2), fits):
        weights, parameters = _sizes(works[first:last])
        chunk = Chunk(
            first=first,
            last=last,
            weights=weights,
            parameters=parameters,
            weight_address=weight_ring.place(weights),
            parameter_address=parameter_ring.place(parameters),
        )
        result.append(chunk)
    return result


def check_group(name: str, words: int, config: SvpeConfig) -> None:
    """Return if the weights of one instruction fit.

    Raises
    ------
    CompileError
        They do not.
    """
    if words > config.weight_words:
        raise CompileError(
            f"conv '{name}' needs {words} weight words for {config.rows} output channels, but the "
            f"configuration has {config.weight_words} (SvpeConfig.weight_words); raise it, or use "
            f"a smaller kernel or fewer channels"
        )


def _sizes(works):
    return sum(w.weight_words for w in works), sum(bool(w.parameters) for w in works)


def _cuts(works, limits, by_layer):
    """Bounds of the chunks: full to the limits, or a layer each (more in a very deep network)."""
    first, least = 0, -(-len(works) // MOST_RESIDENT_CHUNKS)
    for index in range(1, len(works) + 1):
        if index == len(works):
            yield first, index
        elif by_layer:
            if works[index].name != works[index - 1].name and index - first >= least:
                yield first, index
                first = index
        elif any(a > b for a, b in zip(_sizes(works[first : index + 1]), limits, strict=True)):
            yield first, index
            first = index


class Ring:
    """Addresses one after the other; at the end of the buffer it starts again."""

    def __init__(self, size: int):
        self.size = size
        self.next = 0

    def place(self, words: int) -> int:
        """The first of the next ``words``."""
        start = self.next if self.next + words <= self.size else 0
        self.next = start + words
        return start


def overlap(a: Chunk, b: Chunk) -> bool:
    """Whether two chunks share a word of a buffer."""
    return _meet(a.weight_address, a.weights, b.weight_address, b.weights) or _meet(
        a.parameter_address, a.parameters, b.parameter_address, b.parameters
    )


def _meet(start, count, other, others):
    return start < other + others and other < start + count
