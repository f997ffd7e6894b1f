"""Where the cycles of a simulation went, layer by layer, as a table."""

from collections.abc import Mapping

from qnn.cli.output import print_table


def print_layer_cycles(layers: Mapping[str, float]) -> None:
    """Print the cycles of each layer for one image, and their share of all."""
    # They add up to the run's cycles, so that shares do to 100 %.
    total = sum(layers.values())
    rows = [(name, f"{count:,.0f}", f"{count / total:.1%}") for name, count in layers.items()]
    print_table("cycles of each layer", ("layer", "cycles an image", "share"), rows)
