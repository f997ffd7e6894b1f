"""Integers mean one thing everywhere: codes, if their type says so, and else nothing at all."""

import numpy as np
import pytest
import torch
from torch import nn

import qnn
from hw.spec.image import Image
from qnn.errors import DeviceError, ModelError
from qnn.ir.encode import encode_input
from qnn.runtime.values import encode
from tests.nearest import quantize


@pytest.fixture(scope="module")
def design():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    x = torch.randn(32, 6)
    return model, x, qnn.compile(qnn.export(quantize(model, x)), "test")


def test_codes_are_what_reals_are_encoded_to(design):
    _, x, built = design
    codes = encode_input(built.graph, x)
    assert isinstance(codes, qnn.Codes)
    assert encode_input(built.graph, codes) is not x
    reals = codes * built.graph.inputs[0].type.scale
    for given in (codes, qnn.Codes(torch.from_numpy(np.asarray(codes))), reals):
        np.testing.assert_array_equal(encode_input(built.graph, given), codes)
        (got,) = qnn.simulate(built, given, "functional").outputs
        np.testing.assert_array_equal(got, qnn.simulate(built, x, "reference").outputs[0])
        assert qnn.verify(built, given, "functional").passed


def test_batches_of_codes_that_are_joined_are_codes_and_beside_others_they_are_not():
    one = qnn.Codes(np.arange(6).reshape(2, 3))
    plain = np.asarray(one)
    for join in (np.concatenate, np.stack, np.vstack):
        assert type(join([one, one])) is qnn.Codes
        np.testing.assert_array_equal(join([one, one]), join([plain, plain]))
        assert type(join([one, plain])) is np.ndarray
    assert type(one + one) is np.ndarray


@pytest.mark.parametrize("run", [qnn.simulate, qnn.verify])
def test_integers_that_are_not_said_to_be_codes_are_refused(design, run):
    _, x, built = design
    with pytest.raises(ModelError) as error:
        run(built, x.long(), "functional")
    assert str(error.value) == (
        "input 'input' takes floats, which are reals, or uint8, which are pixels, but got int64; "
        "convert them, or give qnn.Codes(x) if they are codes of its type"
    )


def test_the_model_itself_takes_no_integers(design):
    model, x, _ = design
    with pytest.raises(ModelError) as error:
        quantize(model, x)(x.long())
    assert str(error.value) == (
        "input 'input' takes reals here, as floats, not torch.int64; pass x.float()"
    )


def test_codes_out_of_range_are_refused_and_so_are_fractions(design):
    _, _, built = design
    with pytest.raises(ModelError) as error:
        encode_input(built.graph, qnn.Codes(np.full((1, 6), 300)))
    assert str(error.value) == (
        "input 'input' takes codes from -128 to 127, but got 300; encode its reals with "
        "qnn.ir.encode.encode_input"
    )
    with pytest.raises(TypeError) as kind:
        qnn.Codes(np.zeros(3))
    assert str(kind.value) == "Codes needs integers, not float64; round them first"


def test_the_driver_takes_codes_by_the_same_type(design):
    _, x, built = design
    image = Image.from_bytes(built.artifact.to_bytes())
    codes = encode_input(built.graph, x)
    np.testing.assert_array_equal(encode(image, codes[:, :, 0, 0]), codes)
    with pytest.raises(DeviceError) as error:
        encode(image, qnn.Codes(np.full((1, 6), -129)))
    assert str(error.value) == (
        "input 'input' needs codes from -128 to 127, not -129; correct them, or give reals or "
        "pixels"
    )
    with pytest.raises(DeviceError):
        encode(image, x.long().numpy())
