import torch

from qnn.nn.data import digits
from qnn.nn.digits import trained_digits_cnn
from qnn.nn.preprocess import to_reals
from qnn.nn.training import Recipe, accuracy, train
from qnn.nn.zoo import DigitsCnn


def test_the_digits_network_learns():
    data, epochs = digits(), []
    model = trained_digits_cnn(data, progress=lambda done, total: epochs.append((done, total)))
    assert accuracy(model, to_reals(data.x_test, (0.0,), (1.0,)), data.y_test) > 0.97
    assert epochs == [(done, 12) for done in range(1, 13)]


def test_a_seed_gives_the_same_weights():
    data = digits()
    x, y = to_reals(data.x_train[:129], (0.0,), (1.0,)), data.y_train[:129]
    states = []
    for weight_bits in (3, 3, None):
        torch.manual_seed(0)
        model = DigitsCnn()
        train(model, x, y, Recipe(epochs=1, weight_bits=weight_bits))
        assert not model.training
        states.append(model.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert not torch.equal(states[0]["fc.weight"], states[2]["fc.weight"])
