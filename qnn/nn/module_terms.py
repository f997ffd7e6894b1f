"""Terms for the rows of any module's weights: more where rounding costs more, a mean of them."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from qnn.errors import ModelError
from qnn.nn.row_losses import SWEEPS, row_losses
from qnn.quant import pow2
from qnn.quant.term_budget import choose_terms
from qnn.tasks.kinds import TaskKind

# A budget over so many takes a quarter of a minute, and half a GiB.
PARTS = 4000  # of all weights, by what their rows lose, that get one number of terms each
FEWEST_PARTS = 16  # of a weight, however many weights there are
MORE = 2  # terms beyond the fewest, from where on rounding costs next to nothing


def choose_module_terms(
    module: nn.Module,
    names: Sequence[str],
    data: Tensor,
    mean_terms: float,
    weight_bits: int = 3,
    *,
    kinds: Sequence[TaskKind] = (),
    seed: int = 0,
    learns: bool = True,
) -> dict[str, tuple[int, ...]]:
    """Terms of each row of the named weights, at most ``mean_terms`` on average over all weights.

    Parameters
    ----------
    names : of parameters of two dimensions or more, as ``round_module`` takes them
    data : (count, ...) what ``module`` takes; as many as ``row_losses`` takes count
    kinds : what each output is for; none: as far as its shape tells
    learns : whether the weights of a row will make up for each other, as they do not in "nearest"

    Raises
    ------
    ModelError
        There is no data or no name, or a name is no weight's.
    ValueError
        No weights have such a mean of terms.
    """
    least, most = pow2.TERMS[0], pow2.TERMS[-1]
    if not least <= mean_terms <= most:
        raise ValueError(
            f"choose_module_terms needs mean_terms from {least} to {most}, not {mean_terms}"
        )
    if not len(names) or not len(data):
        raise ModelError(
            f"choose_module_terms needs names and data, but got {len(names)} names and "
            f"{len(data)} samples"
        )
    known = dict(module.named_parameters(remove_duplicate=False))
    for name in names:
        if name not in known or known[name].dim() < 2:
            what = "no parameter" if name not in known else f"of shape {tuple(known[name].shape)}"
            raise ModelError(
                f"choose_module_terms needs names of parameters of two dimensions or more, but "
                f"'{name}' is {what}; take names of named_parameters()"
            )
    first = math.floor(mean_terms)
    tried = range(first, min(first + MORE, most) + 1)
    sweeps = SWEEPS if learns else 0
    losses = row_losses(
        module, names, data, tried, weight_bits, kinds=kinds, seed=seed, sweeps=sweeps
    )
    most = max(FEWEST_PARTS, PARTS // len(names))
    parts = {name: _parts(found, most) for name, found in losses.items()}
    by_part, products = {}, {}
    for name, rows in parts.items():
        for number, part in enumerate(rows):
            by_part[name, number] = {k: float(losses[name][k][part].sum()) for k in tried}
            products[name, number] = len(part) * known[name][0].numel()
    chosen = choose_terms(by_part, products, mean_terms)
    terms = {}
    for name, rows in parts.items():
        whole = torch.empty(len(known[name]), dtype=torch.int64)
        for number, part in enumerate(rows):
            whole[part] = chosen[name, number]
        terms[name] = tuple(whole.tolist())
    return terms


def _parts(losses: Mapping[int, Tensor], most: int) -> list[Tensor]:
    """Rows of about equal losses, in at most so many parts of about equal size."""
    order = losses[min(losses)].argsort(descending=True, stable=True)
    return [part for part in order.tensor_split(min(most, len(order))) if len(part)]
