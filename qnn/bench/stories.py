"""A Llama-style language model of 260,032 parameters, and its loss on stories."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

VOCABULARY, CONTEXT = 512, 512
WIDTH, BLOCKS, HEADS, KEY_HEADS, HIDDEN = 64, 5, 8, 4, 172
HEAD = WIDTH // HEADS  # values of a head
EPSILON = 1e-5  # of the root-mean-square norms
ROTATION_BASE = 10_000.0
DRAWN = 64  # windows that are drawn together, so that their chances take 16 MiB


class Attention(nn.Module):
    """Causal attention in which two query heads share keys and values."""

    def __init__(self):
        super().__init__()
        self.wq = nn.Linear(WIDTH, HEADS * HEAD, bias=False)
        self.wk = nn.Linear(WIDTH, KEY_HEADS * HEAD, bias=False)
        self.wv = nn.Linear(WIDTH, KEY_HEADS * HEAD, bias=False)
        self.wo = nn.Linear(HEADS * HEAD, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, WIDTH), and the same back."""
        q, k, v = (part(x).unflatten(-1, (-1, HEAD)) for part in (self.wq, self.wk, self.wv))
        # Neighbouring values are a pair, as in Llama's own code, not halves of a head.
        cos, sin = _angles(x.shape[1], x.device)
        q, k = _rotated(q, cos, sin), _rotated(k, cos, sin)
        # Eight query heads on four of keys and values.
        k, v = (part.repeat_interleave(HEADS // KEY_HEADS, 2) for part in (k, v))
        heads = (part.transpose(1, 2) for part in (q, k, v))
        mixed = F.scaled_dot_product_attention(*heads, is_causal=True)
        return self.wo(mixed.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """w2(silu(w1 x) * w3 x)."""

    def __init__(self):
        super().__init__()
        self.w1 = nn.Linear(WIDTH, HIDDEN, bias=False)
        self.w2 = nn.Linear(HIDDEN, WIDTH, bias=False)
        self.w3 = nn.Linear(WIDTH, HIDDEN, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, WIDTH), and the same back."""
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class TransformerBlock(nn.Module):
    """Attention and feed-forward, each behind a norm and added to its operand."""

    def __init__(self):
        super().__init__()
        self.attention_norm = nn.RMSNorm(WIDTH, EPSILON)
        self.attention = Attention()
        self.ffn_norm = nn.RMSNorm(WIDTH, EPSILON)
        self.feed_forward = FeedForward()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, WIDTH), and the same back."""
        x = x + self.attention(self.attention_norm(x))
        return x + self.feed_forward(self.ffn_norm(x))


class Stories(nn.Module):
    """The decoder, whose last layer is the embedding's transpose.

    Source
    ------
    Touvron et al., "Llama 2" (arXiv 2307.09288); sizes of karpathy's ``stories260K``.
    """

    def __init__(self):
        super().__init__()
        self.tok_embeddings = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = nn.ModuleList(TransformerBlock() for _ in range(BLOCKS))
        self.norm = nn.RMSNorm(WIDTH, EPSILON)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits, (batch, tokens, VOCABULARY), of (batch, tokens) int64."""
        x = self.tok_embeddings(tokens)
        for layer in self.layers:
            x = layer(x)
        return F.linear(self.norm(x), self.tok_embeddings.weight)


def linear_weights(model: nn.Module) -> tuple[str, ...]:
    """Names of the parameters that are weights of linear layers."""
    named = model.named_modules()
    return tuple(f"{name}.weight" for name, part in named if isinstance(part, nn.Linear))


def gains(model: nn.Module) -> tuple[str, ...]:
    """Names of the parameters that are gains of norms, which stay floats."""
    return tuple(name for name, gain in model.named_parameters() if gain.dim() == 1)


def blocks(model: nn.Module) -> tuple[str, ...]:
    """Names of the modules inside whose results a method may compare."""
    return tuple(f"layers.{number}" for number in range(len(model.layers)))


@torch.no_grad()
def loss(model: nn.Module, stories: Iterable[Tensor]) -> float:
    """Mean cross-entropy of each token but a story's first, in nats, in stories cut to CONTEXT."""
    total, count = 0.0, 0
    for story in stories:
        story = story[: CONTEXT + 1]
        logits = model(story[None, :-1])[0]
        # Summed in float64: a mean over many tokens must not depend on their order.
        total += float(F.cross_entropy(logits.double(), story[1:], reduction="sum"))
        count += len(story) - 1
    return total / count


def predicted(stories: Iterable[Tensor]) -> int:
    """Tokens that ``loss`` is the mean over."""
    return sum(min(len(story), CONTEXT + 1) - 1 for story in stories)


def windows(stories: Iterable[Tensor], length: int) -> Tensor:
    """All stories in one stream, cut to (count, length); what is left over is dropped."""
    stream = torch.cat(list(stories))
    count = len(stream) // length
    return stream[: count * length].view(count, length)


@torch.no_grad()
def redrawn(model: nn.Module, windows: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Copies in which a ``share`` of the tokens is what ``model`` draws behind those before.

    Each is drawn behind the tokens of the window as it was. A window's first token stays.
    """
    copies = []
    for batch in windows.split(DRAWN):
        copy, chances = batch.clone(), model(batch[:, :-1]).softmax(-1).flatten(0, 1)
        drawn = torch.multinomial(chances, 1, generator=generator).view_as(batch[:, 1:])
        changes = torch.rand(drawn.shape, generator=generator) < share
        copy[:, 1:] = torch.where(changes, drawn, batch[:, 1:])
        copies.append(copy)
    return torch.cat(copies)


def _angles(tokens, device):
    """Cosines and sines of the rotary position embedding, (tokens, 1, HEAD / 2) each."""
    rates = ROTATION_BASE ** (-torch.arange(0, HEAD, 2, device=device).float() / HEAD)
    angles = torch.outer(torch.arange(tokens, device=device).float(), rates)[:, None]
    return angles.cos(), angles.sin()


def _rotated(x, cos, sin):
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)
