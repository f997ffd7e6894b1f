"""The driver's encoding of images, held to the one that the network is verified with."""

from dataclasses import replace

import numpy as np
import pytest

from hw.spec.config import named_config
from hw.spec.image import Image, ImageError
from qnn.compiler import compile_graph
from qnn.errors import DeviceError
from qnn.host.program import HostProgram
from qnn.ir.encode import decode as decode_reference
from qnn.ir.encode import encode_input
from qnn.ir.graph import Graph, Output
from qnn.ir.reference import reference
from qnn.quant.qtype import QType
from qnn.runtime.values import as_results, decode, encode
from tests.compiler import small_graphs
from tests.graphs import images

CONFIG = named_config("test")


def network(channels=3, size=(6, 5), table=True, type=small_graphs.S8):
    rng = np.random.default_rng(7)
    x = small_graphs.image(channels, *size, type)
    if table:
        x = replace(x, table=rng.integers(type.low, type.high + 1, (channels, 256)))
    last = small_graphs.last(x, 4)
    return Graph((x, last), (Output("last", (4,)),))


def image_of(graph):
    return Image.from_bytes(compile_graph(graph, CONFIG).to_bytes())


def test_the_file_keeps_the_table_of_pixels():
    graph = network()
    (table,) = image_of(graph).pixel_tables
    assert np.array_equal(table, graph.inputs[0].table)
    assert image_of(network(table=False)).pixel_tables == (None,)


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_those_of_the_reference(channels):
    graph = network(channels)
    x = np.random.default_rng(1).integers(0, 256, (4, 6, 5, channels), np.uint8)
    expected = encode_input(graph, np.moveaxis(x, 3, 1))
    image = image_of(graph)
    np.testing.assert_array_equal(encode(image, x), expected)
    signed = (x.astype(int) - 128).astype(np.int8)
    np.testing.assert_array_equal(encode(image, signed), expected)
    if channels == 1:
        np.testing.assert_array_equal(encode(image, x[..., 0]), expected)


@pytest.mark.parametrize("type", [QType(8, True, 4), QType(6, False, 3)])
def test_reals_are_those_of_the_reference(type):
    graph = network(table=False, type=type)
    x = np.random.default_rng(2).normal(0, 5, (4, 6, 5, 3)).astype(np.float32)
    x[0, 0, 0] = [0.5 / 2**type.exponent, 1e30, -1e30]
    expected = encode_input(graph, np.moveaxis(x, 3, 1))
    np.testing.assert_array_equal(encode(image_of(graph), x), expected)


def test_vectors_are_images_of_one_pixel():
    graph = network(5, (1, 1))
    x = np.random.default_rng(3).integers(0, 256, (4, 5), np.uint8)
    np.testing.assert_array_equal(encode(image_of(graph), x), encode_input(graph, x))


def test_outputs_are_the_reals_of_the_reference():
    graph = network()
    tensors = reference(graph, images(graph, 3))
    (got,) = decode(image_of(graph), (tensors["last"].reshape(3, 4),))
    np.testing.assert_array_equal(got, decode_reference(graph, tensors)[0])


def test_parts_of_one_tensor_are_joined_as_the_reference_joins_them():
    graph = network()
    other = replace(graph["last"], name="other")
    parts = (Output("last", (2, 2), "2x2:1.0;join=0"), Output("other", (2, 2)))
    graph = Graph((*graph.nodes, other), parts)
    tensors = reference(graph, images(graph, 3))
    image = image_of(graph)
    blocks = as_results(image, (tensors["last"], tensors["other"]))
    (got,) = decode(image, blocks)
    assert got.shape == (3, 4, 2)
    np.testing.assert_array_equal(got, decode_reference(graph, tensors)[0])


@pytest.mark.parametrize(
    ("keeps", "shape"), [("", (3, 2)), ("%2 = reshape(%1; 0,1,2)\n", (3, 1, 2))]
)
def test_classes_are_chosen_as_the_reference_chooses_them(keeps, shape):
    graph = network()
    text = f"%1 = argmax(%0; 1)\n{keeps}return {2 if keeps else 1}"
    host = HostProgram.parse(text, 1)
    graph = Graph(graph.nodes, (Output("last", (2, 2)),), host)
    tensors, image = reference(graph, images(graph, 3)), image_of(graph)
    (got,) = decode(image, as_results(image, (tensors["last"],)))
    assert (got.shape, got.dtype) == (shape, np.int64)
    np.testing.assert_array_equal(got, decode_reference(graph, tensors)[0])


def test_an_image_whose_host_computes_what_cannot_be_is_refused():
    graph = network()
    host = HostProgram.parse("%1 = argmax(%0; 1)\nreturn 1", 1)
    image = image_of(Graph(graph.nodes, (Output("last", (2, 2)),), host))
    wrong = replace(image, host="%1 = argmax(%0; 3)\nreturn 1")
    with pytest.raises(ImageError) as caught:
        Image.from_bytes(wrong.to_bytes())
    assert str(caught.value) == (
        "image: step %1 of its host program: argmax(%0; 3) does not fit operands of shapes "
        "[(1, 2, 2)]; compile the model again"
    )


@pytest.mark.parametrize("join", [1, 2])
def test_an_image_whose_parts_do_not_fit_is_refused(join):
    graph = network()
    other = replace(graph["last"], name="other")
    parts = (Output("last", (4, 1), "4:0;join=0"), Output("other", (4, 1)))
    image = image_of(Graph((*graph.nodes, other), parts))
    wrong = replace(image, output_shapes=((4, 1), (2, 2)), output_axes=(f"4:0;join={join}", None))
    with pytest.raises(ImageError) as caught:
        Image.from_bytes(wrong.to_bytes())
    assert str(caught.value) == (
        "image: output_axes needs outputs that continue the one before along its axis, not "
        f"('4:0;join={join}', None); compile the model again"
    )


def test_an_input_that_is_packed_keeps_its_shape():
    image = image_of(small_graphs.network())
    assert image.inputs[0].gather is not None
    assert image.inputs[0].shape == small_graphs.network().inputs[0].shape


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (
            np.zeros((2, 6, 5, 3), np.uint8),
            "input 'x' needs finite real numbers, not uint8; its network has no table of pixels",
        ),
        (
            np.full((2, 6, 5, 3), np.nan),
            "input 'x' needs finite real numbers, not float64 with NaN or infinity; its network "
            "has no table of pixels",
        ),
        (
            np.zeros((0, 6, 5, 3)),
            "input 'x' needs images of shape (N, 6, 5, 3), which are (3, 6, 5) channels first, not "
            "(0, 6, 5, 3); put channels last",
        ),
    ],
)
def test_what_a_network_of_reals_refuses(x, text):
    with pytest.raises(DeviceError) as error:
        encode(image_of(network(table=False)), x)
    assert str(error.value) == text
