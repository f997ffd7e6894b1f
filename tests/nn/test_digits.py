from qnn.nn.data import digits
from qnn.nn.digits import train_on_grid, trained_digits_cnn
from qnn.nn.preprocess import to_reals
from qnn.nn.training import accuracy
from qnn.nn.zoo import ZOO
from tests.nearest import quantize


def test_the_digits_network_learns_and_loses_little_on_its_grid():
    data, steps, entry = digits(), [], ZOO["digits_cnn"]
    model = trained_digits_cnn(data, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(done, 220) for done in range(1, 221)]
    assert not model.training
    reals = to_reals(data.x_test, entry.mean, entry.std)
    in_float = accuracy(model, reals, data.y_test)
    assert in_float > 0.97

    quantized = quantize(model, data.x_train[:512], 3, mean=entry.mean, std=entry.std)
    train_on_grid(quantized, model, data)
    # One image of the 360 is 0.3 points, and which are right differs with the number of threads.
    assert accuracy(quantized.from_pixels, data.x_test, data.y_test) >= in_float - 0.02
