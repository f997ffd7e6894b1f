"""What each layer loses in a whole design: where it alone has one term, and all others two."""

from collections.abc import Callable, Mapping

from qnn.ptq.auto.parts import NEXT_TERM
from qnn.quant.term_budget import Losses


def together(
    alone: Losses, loss_without: Callable[[str | None], float | None]
) -> dict[str, dict[int, float]]:
    """Losses of each layer by terms, as far as time allows measured in whole designs.

    A design takes back in each layer what was lost before it, and by how much differs from layer to
    layer: of one that lost most alone, a seventh could be left. What is not measured is taken to
    change as the others do.

    Parameters
    ----------
    alone : what each layer loses alone
    loss_without : of a design of two terms, but one of the layer named; None: time is over
    """
    whole = loss_without(None)
    measured: dict[str, float] = {}
    # Those first that should matter most.
    for name in sorted(alone, key=lambda name: -alone[name][1]):
        found = None if whole is None else loss_without(name)
        if found is None:
            break
        # What is less than chance is not nothing: a part of what it loses alone.
        measured[name] = max(found - whole, alone[name][1] / NEXT_TERM)
    return {
        name: _scaled(found, measured.get(name), alone, measured) for name, found in alone.items()
    }


def _scaled(found: Mapping[int, float], own: float | None, alone, measured) -> dict[int, float]:
    """The layer's losses with that of one term as measured, or changed as those of others are."""
    if own is None:
        before = sum(alone[name][1] for name in measured)
        factor = sum(measured.values()) / before if before else 1.0
    else:
        factor = own / found[1] if found[1] else 1.0
    return {k: factor * loss for k, loss in found.items()}
