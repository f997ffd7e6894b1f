"""An image that only copies its input to its output: load, store, end."""

from dataclasses import replace

from hw.spec.config import SvpeConfig
from hw.spec.image import Image
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.encoding import encode
from hw.spec.isa.end import End
from hw.spec.isa.header import INSTRUCTION_BYTES, Engine, Op
from hw.spec.isa.transfer import Transfer
from hw.spec.tensors import TensorLayout


def copy_image(config: SvpeConfig, *, channels=11, height=3, width=5, **changes: dict) -> Image:
    """The image; ``changes`` replace members of the instruction ``load``, ``store`` or ``end``.

    ``code`` replaces operation codes, also by ones that do not exist.
    """
    blocks = -(-channels // config.lanes)
    words = blocks * height * width
    layout = TensorLayout(
        name="x",
        channels=(channels,),
        height=height,
        width=width,
        bits=config.activation_bits,
        signed=False,
        exponent=0,
        address=0,
        pitch=width,
        block_step=height * width,
    )
    size = words * Buffer.FEATURES.word_bytes(config)
    transfer = {"buffer": Buffer.FEATURES, "words": words}
    give, take = frozenset({Engine.STORE}), frozenset({Engine.LOAD})
    program = {
        "load": Transfer(op=Op.LOAD, region=Region.INPUT, signals=give, **transfer),
        "store": Transfer(op=Op.STORE, region=Region.OUTPUT, waits=take, **transfer),
        "end": End(),
    }
    code = b""
    for name, instruction in program.items():
        word = encode(replace(instruction, **changes.get(name, {})))
        word = word & ~0xF | changes.get("code", {}).get(name, instruction.op)
        code += word.to_bytes(INSTRUCTION_BYTES, "little")
    return Image(
        config=config,
        batch=1,
        inputs=(layout,),
        outputs=(layout,),
        input_axes=("CHW",),
        output_shapes=((channels, height, width),),
        output_axes=(None,),
        pixel_tables=(None,),
        input_bytes=size,
        output_bytes=size,
        scratch_bytes=0,
        layers=(),
        program_bytes=len(code),
        payload=code,
    )
