import numpy as np
import pytest
import torch
from torch import nn

from qnn.ir.bounds import check_bounds
from qnn.ir.check import check
from qnn.ir.encode import encode_input
from qnn.ir.reference import reference
from qnn.nn.zoo import ZOO, DigitsCnn, load_model
from qnn.ptq.export import export
from tests.nearest import quantize
from tests.shared_data import cifar_test, cifar_train

CHECKPOINTS = {"resnet20": "resnet20_cifar10.pt", "resnet8": "tiny_ic_resnet8.pt"}


def test_only_a_quantized_model_can_be_exported():
    with pytest.raises(TypeError) as error:
        export(nn.Conv2d(1, 1, 1))
    assert str(error.value) == (
        "export needs a quantized model, not Conv2d; give it what qnn.quantize makes of a float one"
    )


def test_names_are_paths_of_modules():
    torch.manual_seed(0)
    pixels = torch.randint(0, 256, (8, 1, 8, 8), dtype=torch.uint8)
    graph = export(quantize(DigitsCnn(), pixels, mean=0, std=1))
    check(graph)
    assert [node.name for node in graph.nodes] == [
        "x",
        "stem.0",
        "conv1.0",
        "conv2.0",
        "pool",
        "wide.0",
        "narrow.0",
        "cat",
        "last.0",
        "mean",
        "fc",
    ]
    assert graph["conv2.0"].skip == "stem.0"
    assert [(output.name, output.shape) for output in graph.outputs] == [("fc", (10,))]
    assert not graph["fc"].rounded
    assert not graph["fc"].epilogue.right.any()
    assert graph["wide.0"].type == graph["narrow.0"].type == graph["cat"].type


@pytest.mark.parametrize("terms", [1, 3])
def test_an_average_over_7_values_is_close_and_the_same_in_every_channel(terms):
    torch.manual_seed(0)
    # Behind a layer without ReLU it would be taken before that layer.
    first, last = nn.Conv2d(2, 5, 1), nn.Conv2d(5, 2, 1)
    model = nn.Sequential(first, nn.ReLU(), nn.AvgPool2d((7, 1)), nn.ReLU6(), last)
    graph = export(quantize(model, torch.randn(16, 2, 14, 3), terms=terms))
    pool = graph["2"]
    flat = pool.codes.reshape(len(pool.codes), -1).astype(np.int64)
    assert (flat == flat[:, :1]).all()
    assert pool.window.groups == 5
    # F of a sum without its left shift, less that of the operand: binary places of the weights.
    places = pool.epilogue.right + pool.type.exponent - pool.epilogue.left
    places = places - graph["0"].type.exponent
    weight = sum(
        int(np.sign(m)) * (1 << abs(int(m)) >> 1) << 2 * (len(flat) - 1 - term)
        for term, m in enumerate(flat[:, 0])
    ) * 2.0 ** -int(places[0])
    # Whatever the terms of layers that learn: as many as bring it close, and no more.
    assert len(flat) == 3
    assert abs(weight * 7 - 1) < 2**-7


def test_a_copy_is_exact():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ZeroPad2d(1), nn.MaxPool2d(2), nn.Conv2d(2, 1, 1))
    x = torch.randn(4, 3, 6, 6)
    graph = export(quantize(model, x, weight_bits=2))
    tensors = reference(graph, encode_input(graph, x.numpy()))
    assert graph["1"].type == graph["0"].type
    padded = np.pad(tensors["0"], ((0, 0), (0, 0), (1, 1), (1, 1)))
    np.testing.assert_array_equal(tensors["1"], padded)


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_trained_network_equals_its_integers_in_every_tensor(name, shared_data):
    entry = ZOO[name]
    model = load_model(name, shared_data / CHECKPOINTS[name])
    sample, _ = cifar_train(shared_data)
    pixels, _ = cifar_test(shared_data)
    quantized = quantize(model, sample[:256], weight_bits=4, mean=entry.mean, std=entry.std)
    graph = export(quantized)
    check_bounds(graph, 32, 32)
    for part in pixels[:300].split(100):
        expected = reference(graph, encode_input(graph, part.numpy()))
        got = quantized.tensors(part)
        assert got.keys() == expected.keys()
        for tensor, array in expected.items():
            np.testing.assert_array_equal(got[tensor].numpy(), array, tensor)


@pytest.mark.slow
@pytest.mark.parametrize(("weight_bits", "least"), [(4, 0.84), (3, 0.74)])
def test_resnet20_keeps_the_accuracy_that_nearest_rounding_gives(weight_bits, least, shared_data):
    entry = ZOO["resnet20"]
    model = load_model("resnet20", shared_data / CHECKPOINTS["resnet20"])
    sample, _ = cifar_train(shared_data)
    pixels, labels = cifar_test(shared_data)
    options = {"weight_bits": weight_bits, "mean": entry.mean, "std": entry.std}
    graph = export(quantize(model, sample[:256], **options))
    tensors = reference(graph, encode_input(graph, pixels.numpy()), outputs_only=True)
    found = tensors[graph.outputs[0].name].reshape(len(pixels), -1).argmax(1)
    assert (found == labels.numpy()).mean() > least
