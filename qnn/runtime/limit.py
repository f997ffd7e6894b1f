"""How many cycles a run may take before it counts as hung."""

from hw.spec.image import Image
from hw.spec.isa.buffers import Buffer
from hw.spec.isa.encoding import LAYOUTS, TRANSFER
from hw.spec.isa.header import INSTRUCTION_BYTES, Op

START_CYCLES = 20_000
MARGIN = 4  # over the sum of all instructions one after the other
INSTRUCTION_CYCLES = 200  # latency of fetch, pipeline and tokens


def cycle_limit(image: Image, latency: int) -> int:
    """Far more cycles than ``image`` needs on a memory of ``latency`` cycles."""
    cycles = 0
    for start in range(0, image.program_bytes, INSTRUCTION_BYTES):
        word = int.from_bytes(image.payload[start : start + INSTRUCTION_BYTES], "little")
        cycles += INSTRUCTION_CYCLES + latency + _work(word, image, latency)
    return START_CYCLES + MARGIN * cycles


def _work(word, image, latency):
    op = word & 0xF
    if op in (Op.LOAD, Op.STORE):
        field = TRANSFER.decode(word)
        config = image.config
        bits = {
            Buffer.FEATURES: config.feature_bits,
            Buffer.WEIGHTS: config.weight_word_bits,
            Buffer.PARAMETERS: config.rows * config.parameter_bits,
        }
        beats = config.beats(bits.get(field["buffer"], config.weight_word_bits))
        return field["rows"] * (field["words"] * beats + latency)
    if op in (Op.CONV, Op.MAXPOOL):
        field = LAYOUTS[Op(op)].decode(word)
        steps = field["kernel_y"] * field["kernel_x"] * field["blocks"] * field["terms"]
        steps = max(steps + field["skip"], field["interval"])
        return field["tiles_y"] * field["tiles_x"] * steps
    return 0
