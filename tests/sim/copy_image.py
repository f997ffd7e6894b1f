"""An image that only copies its input to its output: load, store, end."""

from hw.spec.config import SvpeConfig
from hw.spec.image import Image, TensorLayout
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.encoding import LAYOUTS
from hw.spec.isa.header import INSTRUCTION_BYTES, Op


def copy_image(config: SvpeConfig, *, channels=11, height=3, width=5, **changes: dict) -> Image:
    """The image; ``changes`` replace fields of the instruction ``load``, ``store`` or ``end``.

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
    transfer = {"buffer": Buffer.FEATURES, "words": words, "rows": 1}
    program = [
        {"op": Op.LOAD, "region": Region.INPUT, "signal_store": 1, **transfer},
        {"op": Op.STORE, "region": Region.OUTPUT, "wait_load": 1, **transfer},
        {"op": Op.END},
    ]
    code = b""
    for name, fields in zip(("load", "store", "end"), program, strict=True):
        fields |= changes.get(name, {})
        word = LAYOUTS[fields["op"]].encode(**fields)
        word = word & ~0xF | changes.get("code", {}).get(name, fields["op"])
        code += word.to_bytes(INSTRUCTION_BYTES, "little")
    size = words * config.beats(config.feature_bits) * config.bus_bytes
    return Image(
        config=config,
        batch=1,
        inputs=(layout,),
        outputs=(layout,),
        output_shapes=((channels, height, width),),
        input_bytes=size,
        output_bytes=size,
        scratch_bytes=0,
        layers=(),
        program_bytes=len(code),
        payload=code,
    )
