import pytest
import torch

from qnn.quant import pow2
from qnn.quant.estimators import estimator


def draws(w, exponent, bits, terms, count):
    made = estimator("stochastic")(bits, terms)
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        made.advance(0.5, generator)
        yield made(w, exponent)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("bits", "terms"), [(2, 1), (3, 1), (4, 1), (3, 2)])
def test_every_draw_is_a_neighbour_and_their_mean_is_the_weight(bits, terms, dtype):
    reach = sum(4.0**-term for term in range(terms))  # of 3 bits; others have one term
    w = torch.linspace(-1, 1, 41, dtype=dtype)[None] * reach
    exponent = torch.tensor([0])
    drawn = torch.stack(list(draws(w, exponent, bits, terms, 500)))
    down, up = pow2.neighbours(w, exponent, bits, terms)
    assert drawn.dtype == dtype
    assert bool(((drawn == down) | (drawn == up)).all())
    deviation = (up - down) / 2 / 500**0.5
    assert bool(((drawn.double().mean(0) - w.double()).abs() <= 4.5 * deviation).all())


def test_values_of_the_grid_and_weights_beyond_it_are_certain():
    w = torch.tensor([[0.0, -0.25, 0.5, 1.0, 3.0, -7.0]])
    for drawn in draws(w, torch.tensor([0]), 3, 1, 20):
        assert drawn.tolist() == [[0.0, -0.25, 0.5, 1.0, 1.0, -1.0]]


def test_draws_are_those_of_the_step():
    w = torch.randn(8, 50, generator=torch.Generator().manual_seed(1))
    exponent = torch.zeros(8, dtype=torch.int64)
    made = estimator("stochastic")(3)
    made.advance(0.1, torch.Generator().manual_seed(5))
    first = made(w, exponent)
    assert torch.equal(made(w, exponent), first)
    made.advance(0.2, torch.Generator().manual_seed(6))
    assert not torch.equal(made(w, exponent), first)
    made.advance(0.1, torch.Generator().manual_seed(5))
    assert torch.equal(made(w, exponent), first)


def test_layers_that_share_a_generator_draw_differently():
    w, exponent = torch.full((1, 500), 0.3), torch.tensor([0])
    generator = torch.Generator().manual_seed(0)
    results = []
    for _ in range(2):
        made = estimator("stochastic")(3)
        made.advance(0.0, generator)
        results.append(made(w, exponent))
    assert not torch.equal(*results)


def test_what_is_exported_is_the_nearest_code():
    w = torch.randn(8, 50, generator=torch.Generator().manual_seed(1))
    exponent = torch.arange(-4, 4)
    made = estimator("stochastic")(4)
    made.advance(1.0, torch.Generator())
    indices, exported = made.codes(w, exponent)
    assert torch.equal(indices, pow2.nearest(w, exponent, 4))
    assert torch.equal(exported, exponent)


def test_the_gradient_passes_within_the_reach():
    w = torch.tensor([[0.3, -0.6, 1.0, 1.1, -2.0]], requires_grad=True)
    estimator("stochastic")(3)(w, torch.tensor([0])).sum().backward()
    assert w.grad.tolist() == [[1, 1, 1, 0, 0]]
