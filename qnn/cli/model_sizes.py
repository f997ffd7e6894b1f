"""How large a float network is, and how long each named array takes for it at least."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hw.spec.config import CONFIGS
from qnn.cli.output import print_table

if TYPE_CHECKING:
    from qnn.frontend.graph import FloatGraph


@dataclass(frozen=True)
class ModelSizes:
    """Sizes of a float network behind its passes, for one image.

    Members
    -------
    products : multiply-accumulates of its convolutions and linear layers
    weights : values of their kernels
    largest : values of its largest tensor
    """

    products: int
    weights: int
    largest: int

    def cycles(self, config: str) -> int:
        """Cycles of a named array at least (estimated): every lane is busy, one term a weight."""
        # A lane multiplies once per cycle; waiting for memory and lanes without work come on top.
        sizes = CONFIGS[config]
        return -(-self.products // (sizes.lanes * sizes.rows * sizes.columns))


def sizes_of(graph: "FloatGraph") -> ModelSizes:
    """The sizes of a fused float graph."""
    # Fused, so that normalisations and pads are not counted, nor what became a copy.
    return ModelSizes(
        products=sum(_places(node) * node.weight.numel() for node in graph.convs),
        weights=sum(node.weight.numel() for node in graph.convs),
        largest=max(_values(node) for node in graph.nodes),
    )


def fields(sizes: ModelSizes) -> dict:
    """The sizes for JSON."""
    from hw.spec.resources import total

    return {
        "products": sizes.products,
        "weights": sizes.weights,
        "largest_tensor": sizes.largest,
        "estimated": {
            name: {"least_cycles": sizes.cycles(name), "lut": total(config).lut}
            for name, config in CONFIGS.items()
        },
    }


def print_sizes(sizes: ModelSizes) -> None:
    """Print the sizes, and a row for each named array."""
    from hw.spec.resources import total

    print(
        f"{sizes.products:,} multiply-accumulates, {sizes.weights:,} weights, largest tensor "
        f"{sizes.largest:,} values"
    )
    rows = [
        (
            name,
            f"{config.lanes}x{config.rows}x{config.columns}",
            f"{sizes.cycles(name):,}",
            f"{total(config).lut:,}",
        )
        for name, config in CONFIGS.items()
    ]
    print_table(
        "estimated for each array",
        ("config", "lanes x rows x columns", "cycles at least", "LUTs"),
        rows,
    )


def _values(node):
    channels, height, width = node.shape
    return channels * height * width


def _places(node):
    return node.shape[1] * node.shape[2]
