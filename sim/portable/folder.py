"""The ``testbench`` folder of a build, which runs without qnn: inputs, outputs and a test bench."""

from collections.abc import Sequence
from importlib.resources import files

import numpy as np

from hw.spec.image import Image
from hw.spec.isa.buffers import Buffer
from hw.spec.isa.packing import pack
from hw.spec.licence import SPDX
from hw.spec.registers import MAGIC, RUN_OFFSET, Register, Status
from qnn.runtime import handshake
from qnn.runtime.given import Given
from qnn.runtime.limit import cycle_limit
from qnn.runtime.tensors import pack_inputs, to_words
from sim import dram
from sim.rtl import ADDRESS_BITS, ID_BITS

# What a user may set for the memory; a run counts as hung far beyond it.
LATENCY = 1024  # cycles
STALLED = 8  # times as many cycles, for stalls of all channels
REGISTERS = (
    *(Register.MAGIC, Register.FINGERPRINT),
    *(Register.STATUS, Register.ERROR, Register.CYCLES),
)
SOURCES = ("memory.sv", "testbench.sv")  # of the bench, beside the accelerator's
INCLUDED = "parameters.svh"
DATA = tuple(f"{name}.hex" for name in ("expected", "host", "image", "input", "mask"))
LICENCE = f"// {SPDX}\n"


def bench_files(
    image: Image, x: Given, outputs: Sequence[np.ndarray], sources: Sequence[str]
) -> dict[str, bytes]:
    """Name in the folder to content; the same for the same image and inputs.

    Parameters
    ----------
    x : inputs as ``pack_inputs`` takes them
    outputs : (images, channels, height, width) integers that each output of the network must be
    sources : the accelerator's Verilog, by path from the folder
    """
    inputs = pack_inputs(image, x)
    memory, size = dram.place(image, inputs), image.config.bus_bytes
    expected, mask = output_regions(image, outputs, len(inputs))
    here = files("sim.portable")
    texts = {
        INCLUDED: parameters(image, memory),
        "files.f": "".join(f"{name}\n" for name in (*sources, *SOURCES)),
        "host.hex": _host(image, memory),
        "memory.sv": LICENCE + files("sim").joinpath("memory.sv").read_text(),
        "testbench.sv": here.joinpath("testbench.sv").read_text(),
        "run.sh": here.joinpath("run.sh").read_text(),
        "image.hex": _hex(np.frombuffer(image.payload, np.uint8), size),
        "input.hex": _hex(inputs, size),
        "expected.hex": _hex(expected & mask, size),
        "mask.hex": _hex(mask, size),
    }
    return {name: text.encode() for name, text in texts.items()}


def output_regions(
    image: Image, outputs: Sequence[np.ndarray], runs: int
) -> tuple[np.ndarray, np.ndarray]:
    """The OUTPUT region of each run, and the bits of it that are results.

    Parameters
    ----------
    outputs : (images, channels, height, width) integers of each output

    Returns
    -------
    (runs, output_bytes) uint8, and (output_bytes,) uint8 with 1s where bits of results lie; all
    else in a region may be anything, such as lanes behind the last channel
    """
    regions = np.zeros((runs, image.output_bytes), np.uint8)
    mask = np.zeros((1, image.output_bytes), np.uint8)
    for number, layout in enumerate(image.outputs):
        of_batch, output = divmod(number, len(outputs))
        tensor = outputs[output]
        # The last run is filled up with copies of the last image, as ``pack_inputs`` does.
        taken = [min(run * image.batch + of_batch, len(tensor) - 1) for run in range(runs)]
        _put(regions, tensor[taken].astype(np.int64), layout, image.config)
        # What storage makes -1 of, which is a 1 in every bit.
        ones = np.full((1, *tensor.shape[1:]), layout.offset - 1)
        _put(mask, ones, layout, image.config)
    return regions, mask[0]


def parameters(image: Image, memory: dram.DramImage) -> str:
    """The sizes, addresses and registers of one image as SystemVerilog constants."""
    size = image.config.bus_bytes
    code, scratch, data, output = memory.regions[:4]
    # Of one run, more than there is: no word belongs to a second one.
    run_bytes = len(memory.content)
    if memory.runs > 1:
        run_bytes = memory.regions[4].start - data.start
    counts = {
        "BUS_BITS": image.config.bus_bits,
        "ADDRESS_BITS": ADDRESS_BITS,
        "ID_BITS": ID_BITS,
        "RUNS": memory.runs,
        "HOST_WRITES": len(handshake.start_writes(image, memory.bases(0), 0)),
        "WORDS": len(memory.content) // size,
        "IMAGE_FIRST": code.start // size,
        "IMAGE_WORDS": -(-code.size // size),
        "SCRATCH_FIRST": scratch.start // size,
        "SCRATCH_WORDS": -(-scratch.size // size),
        "INPUT_FIRST": data.start // size,
        "INPUT_WORDS": data.size // size,
        "OUTPUT_FIRST": output.start // size,
        "OUTPUT_WORDS": output.size // size,
        "RUN_WORDS": run_bytes // size,
        "RUN_OFFSET": RUN_OFFSET,
    }
    lines = [f"localparam integer {name} = {value};" for name, value in counts.items()]
    lines += [
        f"localparam [63:0] BASE = 64'h{dram.BASE:x};",
        f"localparam [63:0] LIMIT = 64'd{cycle_limit(image, LATENCY) * STALLED};",
        f"localparam [31:0] MAGIC = 32'h{MAGIC:x};",
        f"localparam [63:0] FINGERPRINT = 64'h{image.config.fingerprint:x};",
        *(f"localparam [11:0] REGISTER_{r.name} = 12'h{r:x};" for r in REGISTERS),
        *(f"localparam [31:0] STATUS_{s.name} = 32'h{s:x};" for s in (Status.DONE, Status.FAILED)),
    ]
    head = (
        f"{LICENCE}//\n// Where the network lies in memory, in words of the bus, and registers.\n"
        f"// {image.config}\n"
    )
    return head + "\n".join([*lines, ""])


def _host(image, memory):
    """A line for each write of each run: address, 32 bits, and the register's name."""
    names = {int(register): register.name for register in Register}
    lines = [LICENCE + "//\n// The host's writes to registers: address_data, run by run.\n"]
    for run in range(memory.runs):
        number = handshake.next_number(run)
        for address, value in handshake.start_writes(image, memory.bases(run), number):
            # The upper half of a register of 64 bits has no name of its own.
            name = names.get(address) or f"{names[address - 4]} + 4"
            lines.append(f"{address:04x}_{value:08x} // {name}\n")
    return "".join(lines)


def _put(regions, tensor, layout, config):
    size = Buffer.FEATURES.word_bytes(config)
    words = to_words(tensor, layout, config.lanes, config.activation_bits)
    # Passes and rows of one output may lie between those of another: only its lanes are set.
    packed = pack(words, config.activation_bits, size).reshape(len(regions), -1)
    start = layout.address * size
    regions[:, start : start + packed.shape[1]] |= packed


def _hex(content, word_bytes):
    """Words as $readmemh takes them: the highest byte first, a word per line."""
    content = content.reshape(-1)
    padded = np.zeros(-(-len(content) // word_bytes) * word_bytes, np.uint8)
    padded[: len(content)] = content
    words = padded.reshape(-1, word_bytes)[:, ::-1]
    return words.tobytes().hex("\n", word_bytes) + "\n"
