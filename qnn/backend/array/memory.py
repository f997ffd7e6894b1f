"""Where an image lies: its sections, regions of memory, buffers on chip."""

from hw.spec.image import Image
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.header import Op
from hw.spec.isa.transfer import Transfer
from qnn.backend.memory import MemoryUse, Section, TensorSpan, Use


def memory(image: Image) -> MemoryUse:
    """The memory of ``image``: its sections, its buffers and its tensors."""
    return MemoryUse(tuple(sections(image)), tuple(buffers(image)), tuple(places(image)))


def sections(image: Image) -> list[Section]:
    """The sections of the IMAGE region, and the sizes of the other regions, in bytes."""
    loads = _loads(image)
    found = [Section("program", image.program_bytes, in_image=True)]
    for buffer in (Buffer.WEIGHTS, Buffer.PARAMETERS, Buffer.TABLES):
        # By address, as several loads may read the same words: strips bring weights again.
        words = {
            load.offset + row * load.offset_step: load.words
            for load in loads
            if load.buffer is buffer and load.region is Region.IMAGE
            for row in range(load.rows)
        }
        size = sum(words.values()) * buffer.word_bytes(image.config)
        found.append(Section(buffer.name.lower(), size, in_image=True))
    # What is left over, so that the sections add up to the image.
    alignment = len(image.payload) - sum(part.size for part in found)
    found.append(Section("alignment", alignment, in_image=True))
    for name in ("input", "output", "scratch"):
        found.append(Section(name, getattr(image, f"{name}_bytes")))
    return found


def buffers(image: Image) -> list[Use]:
    """The highest word used of each on-chip buffer, and the buffer's size."""
    config, highest = image.config, dict.fromkeys(Buffer, 0)
    for load in _loads(image):
        highest[load.buffer] = max(highest[load.buffer], load.on_chip().stop)
    places_end = max((place.end for place in places(image)), default=0)
    # Most features are computed, not loaded.
    highest[Buffer.FEATURES] = max(highest[Buffer.FEATURES], places_end)
    return [
        Use(buffer.name.lower(), highest[buffer], buffer.words(config), buffer.word_bits(config))
        for buffer in Buffer
    ]


def places(image: Image) -> list[TensorSpan]:
    """Each layer's tensor of the first image on chip, in order; parts of a layer as one."""
    spans: dict[str, tuple[int, int]] = {}
    for layer in image.layers:
        # Other images of a batch use the same buffers, at other times.
        if layer.image == 0:
            start = layer.output.address
            end = start + layer.output.words(image.config.lanes)
            low, high = spans.get(layer.name, (start, end))
            spans[layer.name] = (min(low, start), max(high, end))
    return [TensorSpan(name, *span) for name, span in spans.items()]


def _loads(image):
    return [i for i in image.program if isinstance(i, Transfer) and i.op is Op.LOAD]
