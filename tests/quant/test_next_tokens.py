import re
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from qnn.errors import ModelError
from qnn.nn.round import round_module
from qnn.quant.rounding import Answers, Checkpoint, Latent
from qnn.quant.rounding.distillation import Measure
from qnn.quant.rounding.next_tokens import with_next_tokens

WORDS, TOKENS = 7, 6


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def model(words=WORDS):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        parts = nn.Embedding(words, 8), nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, words)
        return nn.Sequential(*parts).eval()


@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_it_is_the_teachers_divergence_and_the_texts_cross_entropy(share):
    tokens = torch.randint(WORDS, (3, TOKENS), generator=draws())
    logits, got = (torch.randn(3, TOKENS, WORDS, generator=draws(k)) for k in (1, 2))
    got.requires_grad_()
    inner = {"a": got}
    wanted = with_next_tokens("latent", (tokens,), Answers((logits,), inner), share)
    assert wanted.inner is inner
    by_both, by_teacher = (
        torch.autograd.grad(Measure()(each, Answers((got,))), got)[0]
        for each in (wanted, Answers((logits,)))
    )
    cross = F.cross_entropy(got[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    # The divergence is a mean over all positions, one more than have a token that follows.
    (by_text,) = torch.autograd.grad(cross * (TOKENS - 1) / TOKENS, got)
    mixed = (1 - share) * by_teacher + share * by_text
    torch.testing.assert_close(by_both[:, :-1], mixed[:, :-1])
    torch.testing.assert_close(by_both[:, -1], by_teacher[:, -1])


def test_a_network_learns_a_text_that_its_teacher_does_not_know():
    # Each token is the one before it and one more.
    starts = torch.randint(WORDS, (64, 1), generator=draws())
    text = (starts + torch.arange(TOKENS)) % WORDS
    network, names = model(), ["1.weight", "3.weight"]
    lost = {}
    for share in (0.0, 0.5):
        options = Latent(steps=60, rate=0.02, next_share=share)
        rounded = round_module(network, names, text, "latent", options=options)
        with torch.no_grad():
            answers = rounded(text)[:, :-1].flatten(0, 1)
        lost[share] = float(F.cross_entropy(answers, text[:, 1:].flatten()))
    assert lost[0.5] < 0.85 * lost[0.0]


def test_a_checkpoint_of_another_share_is_refused(tmp_path):
    text = torch.randint(WORDS, (16, TOKENS), generator=draws())
    kept, options = Checkpoint(tmp_path / "run"), Latent(steps=2, next_share=0.5)
    round_module(model(), ["1.weight"], text, "latent", options=options, checkpoint=kept)
    other = replace(options, next_share=0.6)
    with pytest.raises(ModelError, match="a rounding checkpoint of other options"):
        round_module(model(), ["1.weight"], text, "latent", options=other, checkpoint=kept)


def message(network, data):
    names = [n for n, p in network.named_parameters() if p.dim() == 2 and n != "0.weight"]
    options = Latent(steps=1, next_share=0.5)
    with pytest.raises(ModelError) as caught:
        round_module(network, names, data, "latent", options=options)
    return str(caught.value)


def test_samples_that_are_no_tokens_are_refused():
    assert message(nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 3)), torch.randn(8, 6)) == (
        "latent needs samples of (tokens,) whole numbers for next_share, not (6,) of "
        "torch.float32; leave next_share at 0"
    )


def test_answers_that_are_no_logits_of_each_position_are_refused():
    pooled = nn.Sequential(*model(), nn.Flatten())
    assert message(pooled, torch.zeros(8, 4, dtype=torch.int64)) == (
        "latent needs answers of (4, vocabulary) for next_share, not (28,); leave next_share at 0"
    )


def test_tokens_that_have_no_answer_are_refused():
    network = model()
    network[3] = nn.Linear(16, 3)
    assert message(network, torch.tensor([[0, 1, 6]] * 4)) == (
        "latent needs tokens from 0 to 2 for next_share, not from 0 to 6; check the data"
    )


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_is_a_share(share):
    with pytest.raises(
        ValueError, match=re.escape(f"latent needs next_share from 0 to 1, not {share}")
    ):
        Latent(next_share=share)


def test_squared_logits_have_no_share_of_a_text():
    text = "latent with next_share needs loss task or kl, not 'squared'"
    with pytest.raises(ValueError, match=text):
        Latent(next_share=0.5, loss="squared")


def test_a_temperature_would_flatten_what_a_text_says():
    with pytest.raises(ValueError, match="latent with next_share needs a temperature of 1, not 2"):
        Latent(next_share=0.5, temperature=2.0)
