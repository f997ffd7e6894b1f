import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qnn.errors import ModelError
from qnn.nn.center import centered

FORMATS = {"last": torch.channels_last, "first": torch.contiguous_format}


def images(batch, channels, height, width, form="first", dtype=torch.float64):
    made = torch.randn(batch, channels, height, width, generator=torch.Generator().manual_seed(0))
    return made.to(dtype).contiguous(memory_format=FORMATS[form])


@given(*[st.integers(2, 5)] * 2, *[st.integers(1, 5)] * 2, st.sampled_from(sorted(FORMATS)))
def test_each_channel_has_the_mean_that_is_wanted(batch, channels, height, width, form):
    v = images(batch, channels, height, width, form)
    wanted = torch.arange(channels, dtype=torch.float64)
    mean = torch.full((channels,), 7.0)
    result = centered(v, wanted, mean, None, 0.25)
    batch_mean = v.mean((0, 2, 3))
    torch.testing.assert_close(result, v + (wanted - batch_mean)[:, None, None])
    torch.testing.assert_close(mean, (0.75 * 7.0 + 0.25 * batch_mean).float())


@pytest.mark.parametrize("form", FORMATS)
def test_its_gradient_is_the_true_one(form):
    v = images(3, 4, 2, 5, form).requires_grad_()
    wanted = torch.ones(4, dtype=torch.float64, requires_grad=True)

    def run(v, wanted):
        return centered(v, wanted, torch.zeros(4), 2, 0.1)

    assert torch.autograd.gradcheck(run, (v, wanted))


@pytest.mark.parametrize("form", FORMATS)
def test_groups_have_their_own_means_and_move_the_running_one_together(form):
    v = images(6, 3, 4, 4, form)
    mean = torch.zeros(3)
    result = centered(v, torch.zeros(3), mean, 2, 1.0)
    for got in result.split(2):
        torch.testing.assert_close(got.mean((0, 2, 3)), torch.zeros(3).double())
    torch.testing.assert_close(mean, v.mean((0, 2, 3)).float())


@pytest.mark.parametrize("form", FORMATS)
def test_bfloat16_stays_in_its_format_and_its_mean_is_exact(form):
    v = images(64, 8, 16, 16, form, torch.bfloat16) + 100
    mean = torch.zeros(8)
    result = centered(v, torch.zeros(8), mean, None, 1.0)
    assert result.dtype == torch.bfloat16
    assert result.is_contiguous(memory_format=FORMATS[form])
    torch.testing.assert_close(mean, v.double().mean((0, 2, 3)).float(), atol=1e-3, rtol=0)


def test_a_channel_of_one_value_has_no_mean_to_take_away():
    with pytest.raises(ModelError) as error:
        centered(images(1, 3, 1, 1), torch.zeros(3), torch.zeros(3), None, 0.1)
    assert str(error.value) == (
        "train needs two values a channel for the means of BatchNorm, but a batch of one image has "
        "one; take larger batches, or freeze_statistics_at=0"
    )
