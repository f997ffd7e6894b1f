"""How large a float network is, how long each named array takes for it at least, and its size."""

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

    def estimated(name):
        cells, rate = total(CONFIGS[name]), _rate(sizes, name)
        return {
            "least_cycles": sizes.cycles(name),
            "most_frames_per_second": None if rate is None else round(rate, 1),
            "lut": cells.lut,
            "ff": cells.ff,
            "bram18": cells.bram18,
            "dsp": cells.dsp,
        }

    return {
        "products": sizes.products,
        "weights": sizes.weights,
        "largest_tensor": sizes.largest,
        "estimated": {name: estimated(name) for name in CONFIGS},
    }


def print_sizes(sizes: ModelSizes) -> None:
    """Print the sizes, and a row for each named array."""
    import boards
    from hw.spec.resources import total

    print(
        f"{sizes.products:,} multiply-accumulates, {sizes.weights:,} weights, largest tensor "
        f"{sizes.largest:,} values"
    )
    board = boards.reference()
    rows = [
        (
            name,
            f"{config.lanes}x{config.rows}x{config.columns}",
            f"{sizes.cycles(name):,}",
            "-" if (rate := _rate(sizes, name)) is None else f"{rate:,.0f}",
            _share(total(config).lut, board.device.lut),
            _share(total(config).ff, board.device.ff),
            _share(total(config).bram18, board.device.bram18),
        )
        for name, config in CONFIGS.items()
    ]
    print_table(
        f"estimated for each array, with shares of the device of a {board.name}; no DSP block",
        (
            *("config", "lanes x rows x columns", "cycles at least", "frames/s at most"),
            *("LUTs", "flip-flops", "block RAMs of 18 Kbit"),
        ),
        rows,
    )


def _rate(sizes: ModelSizes, config: str) -> float | None:
    """Images per second at most, at the low end of the estimated clock; None without products."""
    from qnn.bench.core_clock import rate_clock

    cycles = sizes.cycles(config)
    return rate_clock(CONFIGS[config]).hertz / cycles if cycles else None


def _share(count: int, there: int) -> str:
    return f"{count:,} ({count / there:.0%})"


def _values(node):
    channels, height, width = node.shape
    return channels * height * width


def _places(node):
    return node.shape[1] * node.shape[2]
