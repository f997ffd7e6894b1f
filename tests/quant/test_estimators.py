import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn.quant import pow2
from qnn.quant.estimators import ESTIMATORS, Estimator, estimator
from qnn.quant.search_exponent import search_exponent

ONE_TERM = {"deepshift_q", "deepshift_ps", "s3"}
FORMATS = {
    name: [(bits, terms) for bits in range(2, 6) for terms in (1, 2) if terms == 1 or many]
    for name, many in ((name, name not in ONE_TERM) for name in ESTIMATORS)
}
CASES = [(name, *format) for name, formats in FORMATS.items() for format in formats]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def weights(seed=0, shape=(4, 3, 3, 3), dtype=torch.float64):
    """Weights of channels of several scales, and the exponents that fit them."""
    w = torch.randn(shape, generator=generator(seed), dtype=torch.float64)
    w = w * 2.0 ** torch.arange(-2, shape[0] - 2).reshape(-1, *[1] * (len(shape) - 1))
    return w.to(dtype), search_exponent(w, 3)


def started(name, w, exponent, bits, terms=1, **options):
    made = estimator(name)(bits, terms, **options)
    made.begin(w, exponent)
    return made


def exported(made, w, exponent):
    indices, exponent = made.codes(w, exponent)
    assert indices.dtype == torch.int8
    assert indices.shape == (made.terms, *w.shape)
    assert exponent.dtype == torch.int64
    assert int(indices.abs().max()) <= pow2.most_index(made.bits)
    return pow2.values(indices, exponent, made.bits)


ENDING = [(*case, {}) for case in CASES if case[0] not in ("given", "stochastic")]
ENDING += [("reconstructed", 3, 1, {"levels": "authors"}), ("reconstructed", 4, 2, {"epochs": 3})]


@settings(deadline=None)
@given(
    st.sampled_from(ENDING),
    st.integers(0, 1000),
    st.integers(-3, 2),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_the_last_forward_pass_computes_with_what_is_exported(case, seed, shift, dtype):
    name, bits, terms, options = case
    w, exponent = weights(seed, dtype=dtype)
    made = started(name, w, exponent + shift, bits, terms, **options)
    moved = w + 0.1 * torch.randn(w.shape, generator=generator(seed + 1), dtype=dtype)
    for progress in (0.0, 0.4, 0.8, 1.0):
        made.advance(progress, generator(seed))
        got = made(moved, exponent + shift)
    assert got.dtype == dtype
    assert torch.equal(got.double(), exported(made, moved, exponent + shift))


@pytest.mark.parametrize(("name", "bits", "terms"), CASES)
def test_what_is_exported_at_once_is_the_nearest_code(name, bits, terms):
    w, exponent = weights()
    made = started(name, w, exponent, bits, terms)
    if name != "deepshift_q":  # rounds in the logarithm
        assert torch.equal(made.codes(w, exponent)[0], pow2.nearest(w, exponent, bits, terms))


@pytest.mark.parametrize(("name", "bits", "terms"), CASES)
def test_a_loaded_state_gives_the_same_forward_pass(name, bits, terms):
    w, exponent = weights()
    first = started(name, w, exponent, bits, terms)
    for progress in (0.0, 0.35, 0.62):
        first.advance(progress, generator(1))
        moved = w + progress * torch.randn(w.shape, generator=generator(2), dtype=w.dtype)
        result = first(moved, exponent)
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator(3)))
    result = first(moved, exponent)
    second = started(name, w, exponent, bits, terms)
    second.load_state_dict(first.state_dict())
    assert torch.equal(second(moved, exponent), result)
    assert torch.equal(second.codes(moved, exponent)[0], first.codes(moved, exponent)[0])


@pytest.mark.parametrize(("name", "bits", "terms"), CASES)
def test_gradients_are_finite_and_reach_what_learns(name, bits, terms):
    w, exponent = weights()
    made = started(name, w, exponent, bits, terms)
    made.advance(0.3, generator(1))
    w.requires_grad_()
    result = made(w, exponent)
    result.backward(torch.randn(w.shape, generator=generator(2), dtype=w.dtype))
    alone = name in ("deepshift_ps", "s3")  # values of their own take the place of the weights
    learnt = list(made.parameters()) + ([] if alone else [w])
    assert all(bool(each.grad.isfinite().all() and each.grad.any()) for each in learnt)
    assert w.grad is None or not alone


@pytest.mark.parametrize("name", sorted(ONE_TERM & set(ESTIMATORS)))
def test_sums_of_codes_are_refused_where_they_have_no_meaning(name):
    with pytest.raises(ValueError, match=r"needs weights of one term") as error:
        estimator(name)(3, 2)
    assert str(error.value) == (
        f"{name} needs weights of one term, not 2; quantize with terms=1 or "
        f"train with another estimator"
    )


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_a_format_that_does_not_exist_is_refused(name):
    with pytest.raises(ValueError, match=r"^weight_bits must be from 2 to 5, not 6$"):
        estimator(name)(6)


def test_a_name_that_does_not_exist_is_refused_with_the_list():
    with pytest.raises(ValueError, match=r"^estimator must be one of ") as error:
        estimator("magic")
    assert str(error.value) == (f"estimator must be one of {', '.join(ESTIMATORS)}, not 'magic'")


def test_an_estimator_says_what_it_computes():
    with pytest.raises(NotImplementedError):
        Estimator(3)(*weights())


def test_given_weights_stay_as_they_are():
    w, exponent = weights()
    w.requires_grad_()
    made = started("given", w, exponent, 3)
    assert made(w, exponent) is w
