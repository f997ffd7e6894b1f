import pytest
import torch

from qnn.quant import pow2
from qnn.quant.estimators import estimator

W = torch.tensor([[0.9, 0.1, -0.6, 0.3], [-1.6, 0.02, 7.0, 3.1]], dtype=torch.float64)
EXPONENT = torch.tensor([0, 3])
BY_SIZE = [(0, 0), (1, 2), (0, 2), (1, 3), (0, 3), (1, 0), (0, 1), (1, 1)]  # of w / 2**e


def started(**options):
    made = estimator("inq")(3, **options)
    made.begin(W, EXPONENT)
    return made


def advance(made, progress):
    made.advance(progress, torch.Generator())


def test_portions_of_the_largest_weights_are_on_the_grid():
    made = started()
    for progress, count in ((0.0, 4), (0.29, 4), (0.3, 6), (0.6, 7), (0.9, 8), (1.0, 8)):
        advance(made, progress)
        expected = W.clone()
        for place in BY_SIZE[:count]:
            expected[place] = pow2.snap(W, EXPONENT, 3)[place]
        assert torch.equal(made(W, EXPONENT), expected)
        assert int(made.frozen.sum()) == count


def test_frozen_weights_keep_their_value_and_the_others_move():
    made = started()
    advance(made, 0.0)
    first = made(W, EXPONENT)
    moved = made(W * 0.4, EXPONENT)
    assert torch.equal(moved[made.frozen], first[made.frozen])
    assert torch.equal(moved[~made.frozen], W[~made.frozen] * 0.4)
    indices, exponent = made.codes(W * 0.4, EXPONENT)
    assert torch.equal(pow2.values(indices, exponent, 3)[made.frozen], first[made.frozen])
    nearest = pow2.snap(W * 0.4, EXPONENT, 3)
    assert torch.equal(pow2.values(indices, exponent, 3)[~made.frozen], nearest[~made.frozen])


def test_the_gradient_is_the_true_derivative():
    made, w = started(), W.clone().requires_grad_()
    advance(made, 0.0)
    made(w, EXPONENT).sum().backward()
    step = 1e-6
    difference = made(W + step, EXPONENT) - made(W - step, EXPONENT)
    assert torch.allclose(w.grad, difference / (2 * step))
    assert torch.equal(w.grad == 0, made.frozen)


def test_nothing_is_frozen_before_the_first_point():
    made = started(portions=[0.25, 1.0], points=[0.5, 1.0])
    advance(made, 0.49)
    assert torch.equal(made(W, EXPONENT), W)
    advance(made, 0.5)
    made(W, EXPONENT)
    assert int(made.frozen.sum()) == 2


@pytest.mark.parametrize("portions", [[], [0.5], [0.0, 1.0], [0.7, 0.5, 1.0], [0.5, 0.5, 1.0]])
def test_portions_that_do_not_grow_to_one_are_refused(portions):
    with pytest.raises(ValueError, match=r"^portions must grow") as error:
        started(portions=portions)
    listed = ", ".join(map(str, portions))
    assert str(error.value) == f"portions must grow from above 0 to 1, not {listed}"


@pytest.mark.parametrize("points", [[], [0.0], [0.5, 0.2], [0.5, 0.5], [-0.1, 0.5], [0.5, 1.1]])
def test_points_that_do_not_grow_are_refused(points):
    with pytest.raises(ValueError, match=r"^points must grow") as error:
        started(portions=[0.5, 1.0], points=points)
    assert str(error.value) == (
        f"points must grow from 0 to 1, one for each of 2 portions, not "
        f"{', '.join(map(str, points))}"
    )
