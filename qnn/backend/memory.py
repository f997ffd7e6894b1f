"""Where a compiled network lies: sections of memory, buffers on chip, tensors in them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """Some bytes of memory; ``in_image`` says whether they come with the artifact."""

    name: str
    size: int  # bytes
    # Such a section takes space in a file; the others are only addresses.
    in_image: bool = False


@dataclass(frozen=True)
class Use:
    """An on-chip buffer: words up to the highest that is used, of all, and bits of a word."""

    name: str
    used: int
    words: int
    word_bits: int

    @property
    def share(self) -> float:
        """The used share of the buffer, 0 to 1."""
        # By the highest word, as a gap below it is lost too.
        return self.used / self.words


@dataclass(frozen=True)
class TensorSpan:
    """A tensor in the buffer of features: first word, and past the last."""

    name: str
    start: int
    end: int


@dataclass(frozen=True)
class MemoryUse:
    """The memory of a network; ``places`` has the first image's tensors, layer by layer."""

    sections: tuple[Section, ...]
    buffers: tuple[Use, ...]
    places: tuple[TensorSpan, ...]
