"""Where a compiled network lies: sections of its image, regions of memory, buffers on chip."""

from dataclasses import dataclass

from hw.spec.image import Image
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.header import Op
from qnn.compiler.disassemble import instructions


@dataclass(frozen=True)
class Section:
    """Some bytes of memory."""

    name: str
    size: int  # bytes


@dataclass(frozen=True)
class Use:
    """An on-chip buffer: words up to the highest that is used, of all, and bits of a word."""

    name: str
    used: int
    words: int
    word_bits: int

    @property
    def share(self) -> float:
        """Of the buffer, 0 to 1."""
        return self.used / self.words


@dataclass(frozen=True)
class Place:
    """A tensor in the feature buffer: first word, and past the last."""

    name: str
    start: int
    end: int


def sections(image: Image) -> list[Section]:
    """What the IMAGE region holds, and the other regions."""
    loads = _loads(image)
    sizes = {
        Buffer.WEIGHTS: image.config.beats(image.config.weight_word_bits),
        Buffer.PARAMETERS: image.config.beats(image.config.rows * image.config.parameter_bits),
    }
    found = [Section("program", image.program_bytes)]
    for buffer, beats in sizes.items():
        words = {
            fields["offset"] + row * fields["offset_step"]: fields["words"]
            for fields in loads
            if fields["buffer"] == buffer and fields["region"] == Region.IMAGE
            for row in range(fields["rows"])
        }
        size = sum(words.values()) * beats * image.config.bus_bytes
        found.append(Section(buffer.name.lower(), size))
    found.append(Section("alignment", len(image.payload) - sum(part.size for part in found)))
    for name in ("input", "output", "scratch"):
        found.append(Section(name, getattr(image, f"{name}_bytes")))
    return found


def buffers(image: Image) -> list[Use]:
    """What is used of each on-chip buffer."""
    config, highest = image.config, dict.fromkeys(Buffer, 0)
    for fields in _loads(image):
        end = fields["address"] + (fields["rows"] - 1) * fields["address_step"] + fields["words"]
        highest[fields["buffer"]] = max(highest[fields["buffer"]], end)
    places_end = max((place.end for place in places(image)), default=0)
    highest[Buffer.FEATURES] = max(highest[Buffer.FEATURES], places_end)
    sizes = {
        Buffer.FEATURES: (config.feature_words, config.feature_bits),
        Buffer.WEIGHTS: (config.weight_words, config.weight_word_bits),
        Buffer.PARAMETERS: (config.parameter_words, config.rows * config.parameter_bits),
    }
    return [Use(buffer.name.lower(), highest[buffer], *sizes[buffer]) for buffer in Buffer]


def places(image: Image) -> list[Place]:
    """Each layer's tensor of the first image on chip, in order; parts of a layer as one."""
    spans: dict[str, tuple[int, int]] = {}
    for layer in image.layers:
        if layer.image == 0:
            start = layer.output.address
            end = start + layer.output.words(image.config.lanes)
            low, high = spans.get(layer.name, (start, end))
            spans[layer.name] = (min(low, start), max(high, end))
    return [Place(name, *span) for name, span in spans.items()]


def _loads(image):
    return [fields for fields in instructions(image) if fields["op"] == Op.LOAD]
