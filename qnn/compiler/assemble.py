"""Pass: the image, proved from its own bytes."""

from dataclasses import replace

from hw.spec.image import Image
from hw.spec.isa.buffers import Buffer
from hw.spec.isa.encoding import encode
from hw.spec.isa.header import INSTRUCTION_BYTES
from qnn.compiler.check_program import check_program
from qnn.compiler.compilation import Compilation
from qnn.compiler.data_section import data_start
from qnn.compiler.stack_images import of_images
from qnn.errors import CompileError


def assemble(state: Compilation) -> Compilation:
    """The state with its image.

    Raises
    ------
    CompileError
        A number does not fit its field; the text names the field.
    ProgramError
        The program breaks a rule that hardware relies on, which is a mistake of the compiler.
    """
    config, memory = state.config, state.memory
    code = b"".join(_word(each).to_bytes(INSTRUCTION_BYTES, "little") for each in state.program)
    word_bytes = Buffer.FEATURES.word_bytes(config)
    graph, inputs, outputs = state.graph, sum(memory.inputs, ()), sum(memory.outputs, ())
    image = Image(
        config=config,
        batch=state.batch,
        inputs=inputs,
        outputs=outputs,
        input_axes=tuple(node.axes for node in graph.inputs),
        output_shapes=tuple(output.shape for output in graph.outputs),
        output_axes=tuple(output.axes for output in graph.outputs),
        host=None if graph.host is None else graph.host.text(full=True),
        pixel_tables=tuple(_table(node) for node in graph.inputs),
        input_bytes=_words(inputs, config) * word_bytes,
        output_bytes=_words(outputs, config) * word_bytes,
        scratch_bytes=memory.scratch_words * word_bytes,
        layers=tuple(_as_in_the_model(layer, state.part_of[layer.name]) for layer in state.layers),
        program_bytes=len(code),
        payload=code + bytes(data_start(len(state.program)) - len(code)) + state.data.content,
    )
    # From the bytes, not from what they were made of: the proof covers the encoding too.
    check_program(image)
    return replace(state, image=image)


def _word(instruction):
    try:
        return encode(instruction)
    except ValueError as error:
        raise CompileError(
            f"a {instruction.op.name.lower()} does not fit an instruction: {error}; use a smaller "
            f"image or batch"
        ) from None


def _table(node):
    return None if node.table is None else tuple(map(tuple, node.table.tolist()))


def _words(layouts, config):
    return max(each.address + each.words(config.lanes) for each in layouts)


def _as_in_the_model(layer, part):
    """The layer as of single images, with the products of the user's kernel.

    A packed input has more taps than that.
    """
    given, packed = part.graph[layer.name].macs, part.network.graph[layer.name].macs
    # In proportion, as a layer's entry may be one strip of it.
    macs = layer.macs if given == packed else layer.macs * given // packed
    return of_images(replace(layer, macs=macs), part)
