"""What was kept of a quantized file's layers, and what was quantized anew."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from qnn.cli.output import print_table

if TYPE_CHECKING:
    from torch import nn

    from qnn.nn.model import QuantizedModel
    from qnn.ptq.keep_grid import KeptLayer

WORDS = {True: "kept", False: "quantized anew"}


def kept_fields(model: "nn.Module", quantized: "QuantizedModel") -> dict[str, list[dict[str, str]]]:
    """For JSON ``layers``, a row for each of the quantized file that ``model`` was read from.

    Nothing of any other model.
    """
    from qnn.frontend.onnx.grids import grid_of
    from qnn.ptq.keep_grid import kept_layers

    return {"layers": rows_of(kept_layers(model, quantized))} if grid_of(model) else {}


def rows_of(layers: "Iterable[KeptLayer]") -> list[dict[str, str]]:
    """The same in words."""
    return [
        {"layer": each.name, "weights": WORDS[each.weights], "result": WORDS[each.result]}
        for each in layers
    ]


def print_kept(name: str, rows: Sequence[Mapping[str, str]]) -> None:
    """Print the rows as a table, where there are any."""
    # Of other models there is nothing to say.
    if not rows:
        return
    header = ("layer", "weights", "type of its result")
    print_table(name, header, [tuple(row.values()) for row in rows])
