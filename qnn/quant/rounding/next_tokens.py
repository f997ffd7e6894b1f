"""What a language model should answer: its teacher's chances, with those of what really follows."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.errors import ModelError
from qnn.quant.rounding.problem import Answers, Batch


def with_next_tokens(method: str, x: Batch, wanted: Answers, share: float) -> Answers:
    """The answers whose chances are the teacher's and, to a share, 1 of the token that follows.

    The divergence from them has the gradient of ``1 - share`` of that from the teacher's, and
    ``share`` of the cross-entropy. A text tells both: its tokens are its labels. Behind the last
    token of a sample nothing follows, and the teacher's chances stay.

    Parameters
    ----------
    method : that asks, for the text of an error
    x : (samples, tokens) of whole numbers, alone
    wanted : the teacher's logits, (samples, tokens, vocabulary), alone
    share : from 0 to 1

    Raises
    ------
    ModelError
        The samples are no tokens, or the answers are no logits of the next ones.
    """
    _check(method, x, wanted.outputs)
    logits = wanted.outputs[0]
    chances = logits.softmax(-1)
    follows = F.one_hot(x[0][:, 1:].long(), logits.shape[-1]).to(chances)
    chances[:, :-1] = chances[:, :-1].lerp(follows, share)
    # A chance of 0 adds nothing to a divergence, but its logarithm is no number to compute with.
    least = math.log(torch.finfo(chances.dtype).tiny)
    return Answers((chances.log().clamp(min=least),), wanted.inner)


def _check(method: str, x: Batch, outputs: tuple[Tensor, ...]) -> None:
    tokens = x[0]
    whole = not (tokens.is_floating_point() or tokens.is_complex()) and tokens.dim() == 2
    if len(x) != 1 or not whole or not tokens.shape[1]:
        raise ModelError(
            f"{method} needs samples of (tokens,) whole numbers for next_share, not "
            f"{' and '.join(f'{tuple(each.shape[1:])} of {each.dtype}' for each in x)}; leave "
            f"next_share at 0"
        )
    shapes = [tuple(output.shape[1:]) for output in outputs]
    if len(outputs) != 1 or outputs[0].dim() != 3 or outputs[0].shape[1] != tokens.shape[1]:
        raise ModelError(
            f"{method} needs answers of ({tokens.shape[1]}, vocabulary) for next_share, not "
            f"{' and '.join(map(str, shapes))}; leave next_share at 0"
        )
    if int(tokens.min()) < 0 or int(tokens.max()) >= outputs[0].shape[2]:
        raise ModelError(
            f"{method} needs tokens from 0 to {outputs[0].shape[2] - 1} for next_share, not from "
            f"{int(tokens.min())} to {int(tokens.max())}; check the data"
        )
