import math

import pytest
import torch

from qnn.quant import pow2
from qnn.quant.estimators import estimator


def made(bits=3, terms=1, progress=0.0, **options):
    result = estimator("reconstructed")(bits, terms, **options)
    result.advance(progress, torch.Generator())
    return result


def alphas(epochs, progresses):
    return [float(made(epochs=epochs, progress=progress).alpha) for progress in progresses]


def test_alpha_grows_with_each_step_from_a_half_to_one():
    progresses = [0.0, 0.25, 0.5, 1.0]
    expected = [0.5 * 2**progress for progress in progresses]
    assert alphas(None, progresses) == pytest.approx(expected)
    assert alphas(None, [1.0]) == [1.0]


def test_alpha_of_the_authors_is_constant_throughout_an_epoch():
    expected = [0.5 * 2 ** (epoch / 4) for epoch in (1, 1, 2, 2, 3, 4, 4, 4)]
    progresses = [0.0, 0.24, 0.25, 0.49, 0.5, 0.75, 0.99, 1.0]
    assert alphas(4, progresses) == pytest.approx(expected)


@pytest.mark.parametrize(("bits", "terms"), [(2, 1), (3, 1), (4, 1), (3, 2)])
def test_values_lie_between_the_clipped_weight_and_its_level(bits, terms):
    w = torch.linspace(-3, 3, 97, dtype=torch.float64)[None]
    exponent = torch.tensor([0])
    level = pow2.snap(w, exponent, bits, terms)
    limit = sum(4.0**-term for term in range(terms))  # of 3 bits; others have one term
    kept = w.clamp(-limit, limit)
    for progress in (0.0, 0.6, 1.0):
        alpha = 0.5 * 2**progress
        got = made(bits, terms, progress)(w, exponent)
        assert torch.allclose(got, kept - alpha * (kept - level), atol=1e-7)


@pytest.mark.parametrize("options", [{}, {"levels": "authors"}])
@pytest.mark.parametrize("progress", [0.0, 0.7, 1.0])
def test_the_gradient_is_the_true_derivative(progress, options):
    w = torch.tensor([[0.05, -0.3, 0.4, 0.6, 0.9, -0.95, 1.2, -7.0]], dtype=torch.float64)
    exponent = torch.tensor([0])
    under_test = made(progress=progress, **options)
    under_test.begin(torch.tensor([[1.3]], dtype=w.dtype), exponent)
    w.requires_grad_()
    under_test(w, exponent).sum().backward()
    step = 1e-6
    with torch.no_grad():
        up, down = under_test(w + step, exponent), under_test(w - step, exponent)
    assert torch.allclose(w.grad, (up - down) / (2 * step), atol=1e-6)
    assert w.grad[0, -1] == 0
    assert w.grad[0, 0] == pytest.approx(1 - 0.5 * 2**progress, abs=1e-6)


def test_the_levels_of_the_authors_have_their_thresholds():
    greatest = 2.0
    shares = [0.0, 0.0199, 0.0201, 0.0699, 0.0701, 0.1399, 0.1401, 1.0]
    w = torch.tensor([[greatest * share for share in shares]], dtype=torch.float64)
    w = torch.cat([w, -w * 2.0**3])
    exponent = torch.tensor([0, 3])
    under_test = made(progress=1.0, levels="authors")
    under_test.begin(w, exponent)
    scale = 2.0 ** round(math.log2(0.187 * greatest))
    expected = torch.tensor([0, 0, 0.25, 0.25, 0.5, 0.5, 1, 1], dtype=torch.float64) * scale
    expected = torch.stack([expected, -expected * 2.0**3])
    assert torch.equal(under_test(w, exponent), expected)
    indices, exported = under_test.codes(w, exponent)
    assert exported.tolist() == [-1, 2]
    assert torch.equal(pow2.values(indices, exported, 3), expected)


def test_the_thresholds_of_the_authors_are_almost_midpoints_at_their_scale():
    middles = [0.187 * middle for middle in (0.125, 0.375, 0.75)]
    assert middles == pytest.approx([0.0234, 0.07, 0.14], abs=5e-4)


def test_the_greatest_weight_of_the_start_is_kept():
    w = torch.tensor([[0.1, 1.0]], dtype=torch.float64)
    exponent = torch.tensor([0])
    under_test = made(progress=1.0, levels="authors")
    under_test.begin(w, exponent)
    grown = w.clone()
    grown[0, 1] = 50.0
    assert torch.equal(under_test(grown, exponent), under_test(w, exponent))


def test_a_layer_of_zeros_has_the_levels_of_the_authors_too():
    w, exponent = torch.zeros(2, 3), torch.tensor([0, 1])
    under_test = made(progress=1.0, levels="authors")
    under_test.begin(w, exponent)
    assert not under_test(w, exponent).any()
    assert not under_test.codes(w, exponent)[0].any()


@pytest.mark.parametrize(
    ("format", "options", "text"),
    [
        ((3, 1), {"levels": "raw"}, "levels must be one of scaled, authors, not 'raw'"),
        ((3, 1), {"epochs": 0}, "epochs must be at least 1, not 0"),
        (
            (4, 2),
            {"levels": "authors"},
            "levels='authors' needs weights of 3 bits and one term, not 4 bits and 2 terms; use "
            "levels='scaled'",
        ),
    ],
)
def test_an_option_without_a_meaning_is_refused(format, options, text):
    with pytest.raises(ValueError, match="not") as error:
        estimator("reconstructed")(*format, **options)
    assert str(error.value) == text
