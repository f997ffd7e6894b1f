"""What a search may choose: values of terms, bits and sizes, by name."""

from collections.abc import Mapping, Sequence

from hw.spec.isa.codes import LEAST_BITS, MOST_BITS
from qnn.errors import ArgumentError
from qnn.explore.point import ARRAY

TERMS, WEIGHTS, ACTIVATIONS, CORES = "terms", "weight_bits", "activation_bits", "cores"
NAMES = (TERMS, WEIGHTS, ACTIVATIONS, *ARRAY, CORES)
# Around the reference core of 16 x 16 x 8; buffers of half its words and of its own.
USUAL: Mapping[str, tuple[int, ...]] = {
    # Four bring any weight close: no network that was tried gained by them.
    TERMS: (1, 2, 3),
    WEIGHTS: (3,),
    # Inputs have as many, and an array is as wide as its widest tensor.
    ACTIVATIONS: (8,),
    "lanes": (8, 16, 32),
    "rows": (8, 16, 32),
    "columns": (4, 8, 16),
    "epilogue_words": (1, 2, 4),
    "neighbours": (0, 2),  # for depthwise layers
    "feature_words": (8192, 16384),
    "weight_words": (1024, 2048),
    "parameter_words": (256,),
    CORES: (1, 2, 3, 4),  # a port of the processing system for each
}
LIMITS = {TERMS: (1, 4), WEIGHTS: (LEAST_BITS, MOST_BITS), ACTIVATIONS: (4, 16), CORES: (1, 4)}


def choices_in(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """The choices that texts such as ``lanes=8,16`` name, and the usual ones of all others.

    Raises
    ------
    ArgumentError
        A name does not exist, or a value is none.
    """
    found = dict(USUAL)
    for text in texts:
        name, _, values = text.partition("=")
        parts = [part.strip() for part in values.split(",")]
        # Numbers of more digits are no sizes, and would take time to read.
        if name not in NAMES or not all(part.isdecimal() and len(part) < 8 for part in parts):
            raise ArgumentError(
                f"a choice needs NAME=NUMBER,NUMBER with a name of {', '.join(NAMES)}, not '{text}'"
            )
        # Rising, so that neighbours in a space are neighbours in size.
        found[name] = tuple(sorted({int(part) for part in parts}))
        least, most = LIMITS.get(name, (0, 1 << 20))
        if not all(least <= value <= most for value in found[name]):
            raise ArgumentError(f"{name} needs values from {least} to {most}, not '{values}'")
    return found
