"""An image whose checksum was redone: every field that a reader relies on is held to the others."""

import hashlib
import json
from functools import cache

import pytest

from hw.spec.config import named_config
from hw.spec.image import HEAD, VERSION, Image, ImageError
from qnn.compiler import compile_graph
from tests.compiler import small_graphs


@cache
def whole():
    return compile_graph(small_graphs.network(), named_config("test")).to_bytes()


def altered(path, value):
    """The image's bytes with the field under ``path`` changed, and a right checksum."""
    magic, version, size, payload_bytes, _ = HEAD.unpack_from(whole())
    metadata = json.loads(whole()[HEAD.size :][:size])
    holder = metadata
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value(holder[path[-1]]) if callable(value) else value
    text, payload = json.dumps(metadata).encode(), whole()[HEAD.size + size :]
    digest = hashlib.sha256(text + payload).digest()
    return HEAD.pack(magic, version, len(text), payload_bytes, digest) + text + payload


def refusal(data):
    with pytest.raises(ImageError) as error:
        Image.from_bytes(data, "image.bin")
    return str(error.value)


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        (("batch",), 0, "batch needs a number from 1 to 2147483647, not 0"),
        (("batch",), 2, "inputs needs 2 entries, not 1"),
        (
            ("layers", 0, "output", "passes"),
            (1 << 63) - 1,
            f"layers[0].output.passes needs a number from 1 to 2147483647, not {(1 << 63) - 1}",
        ),
        (
            ("layers", 0, "output", "passes"),
            (1 << 31) - 1,
            "layers[0].output.passes needs at most 4, not 2147483647",
        ),
        (("layers", 1, "tag"), 0, "layers[1].tag needs 1, not 0"),
        (("layers", 0, "image"), 1, "layers[0].image needs less than the batch of 1, not 1"),
        (("layers", 0, "row"), 99, "layer 'a' needs parts of all 8 channels x 107 rows of image 0"),
        (("layers", 0, "output", "address"), 2040, "layers[0].output.address needs all words"),
        (("layers", 0, "output", "pitch"), 0, "layers[0].output.pitch needs at least 7, not 0"),
        (("inputs", 0, "height"), 1 << 30, "inputs[0].address needs all words within"),
        (("inputs", 0, "zero_point"), -128, "inputs[0].zero_point needs one from -127 to 127"),
        (("layers", 0, "output", "zero_point"), 128, "layers[0].output.zero_point needs one from"),
        (("input_bytes",), 1 << 39, "input_bytes needs "),
        (("scratch_bytes",), 1 << 39, "scratch_bytes needs at most the 0 bytes that transfers"),
        (("program_bytes",), 5, "program_bytes needs whole instructions within the payload of"),
        (("output_shapes", 0), [3], "output_shapes[0] needs the "),
        (("input_axes", 0), "XYZ", "input_axes[0] needs one of CHW, C, CL, TC, L that fits"),
        (("pixel_tables", 0), [[1, 2]], "pixel_tables[0] needs "),
        (("config", "lanes"), 3, "config needs values that keep its rules, not those: SvpeConfig"),
        (("config",), [], "config needs an object, not an empty list"),
        (("layers",), [], "instruction "),
    ],
)
def test_a_field_that_disagrees_is_named(path, value, text):
    said = refusal(altered(path, value))
    assert said.startswith(f"image.bin: {text}")
    assert said.endswith("; compile the model again")


def test_metadata_that_are_no_image_are_refused():
    for text in (b"{}", b"[]", b"[" * 100_000, b"5"):
        data = HEAD.pack(b"QNNIMAGE", VERSION, len(text), 0, hashlib.sha256(text).digest()) + text
        assert refusal(data).startswith("image.bin: it needs ")


def test_an_instruction_that_leaves_its_buffer_is_named():
    image = Image.from_bytes(whole())
    data = altered(("batch",), 1)
    assert Image.from_bytes(data) == image
    end = image.program_bytes
    # The program without its END: what is there last is another operation.
    text = refusal(altered(("program_bytes",), end - 128))
    assert text == (
        "image.bin: program needs END as its last instruction, not another; compile the model again"
    )
