"""Energy of a product and its sum: shifts over multipliers, from toggles of their netlists.

Toggles are simulated; what one costs beside a DSP block's multiplication is bounded by figures for
other chips. The ratio is an estimate, and so is the point where both are equal. The multipliers'
sums are in the fabric, as the shifts' are: in the cascade of the DSP blocks they would take less.
"""

from dataclasses import asdict, dataclass, replace
from math import sqrt

import numpy as np

from hw.spec.config import SvpeConfig
from hw.spec.isa.fields import Field
from qnn.eda.activity import Activity, activity

# Energies of operations in a 45 nm chip, pJ: Horowitz, "Computing's energy problem", ISSCC 2014.
ADD_32_BITS = 0.1
MULTIPLY_8_BITS, MULTIPLY_32_BITS = 0.2, 3.1
# How many times more an FPGA's logic takes than the same logic in a chip of standard cells: Kuon
# and Rose, "Measuring the gap between FPGAs and ASICs", FPGA 2006. A DSP block lies in between.
FPGA_OVER_ASIC = 12
TOGGLES_OF_AN_ADDITION = 32  # of 32 bits in LUTs and carry chain: of random bits, half change

SHIFT = {"weight_bits": 3, "activation_bits": 16, "accumulator_bits": 32}
MULTIPLY = {
    "pe": "multiply",
    "weight_bits": 16,
    "activation_bits": 16,
    # A DSP block's sums have 48 bits whether they are needed or not.
    "accumulator_bits": 48,
    "result_bits": 48,
}
# A row of the reference's sizes, a 3x3 kernel, and two pictures: some hundred positions of real
# data.
LANES, COLUMNS, TAPS, IMAGES = 16, 8, 9, 2
PAPER_POWER, PAPER_PER_OPERATION = 0.683, 0.237  # of the n-BQ-NN paper: 16-bit arrays


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Estimates for one layer on both arrays; a toggle is that of one net of the fabric.

    Members
    -------
    shift_toggles, multiply_toggles : of a lane in a cycle, without what is inside a DSP block
    shift_registers, multiply_registers : flip-flops of a lane; what the clock costs is left out
    dsp_toggles : that a 16-bit multiplication in a DSP block is worth, least and most
    energy_per_mac : shifts over multipliers, at the geometric mean of both
    energy_per_mac_range : at the most, and at the least
    break_even_dsp_toggles : that a DSP multiplication would be worth if both were equal; None:
        shifts take less even if it were free
    """

    shift_toggles: float
    multiply_toggles: float
    shift_registers: float
    multiply_registers: float
    dsp_toggles: tuple[float, float]
    energy_per_mac: float
    energy_per_mac_range: tuple[float, float]
    break_even_dsp_toggles: float | None

    def to_fields(self) -> dict:
        """Plain values for JSON."""
        paper = {"power": PAPER_POWER, "per_operation": PAPER_PER_OPERATION}
        return {"energy": {**asdict(self), "published": paper}}


def measure(progress=None) -> tuple[Energy, dict[str, Activity]]:
    """Simulate one layer on both netlists; the activities hold their SAIF.

    Raises
    ------
    ToolError
        A tool is missing or fails.
    """
    shift = SvpeConfig(lanes=LANES, rows=1, columns=COLUMNS, **SHIFT)
    multiply = replace(shift, **MULTIPLY)
    activations, weights = layer()
    tasks = {
        "shift": (shift, power_of_two_codes(weights, shift)),
        "multiply_dsp": (multiply, uniform_codes(weights, multiply)),
    }
    found = {}
    for name, (config, codes) in tasks.items():
        found[name] = activity(config, steps(activations, codes))
        if progress is not None:
            progress(len(found), len(tasks))
    return estimate(found["shift"], found["multiply_dsp"]), found


def estimate(shift: Activity, multiply: Activity) -> Energy:
    """The energy that follows from the toggle counts of both arrays."""
    ours, theirs = (sum(a.toggles.values()) / a.cycles / LANES for a in (shift, multiply))
    least, most = dsp_toggles()
    # The geometric mean, as the bounds are a factor apart and not a difference.
    ratios = [ours / (theirs + dsp) for dsp in (most, least, sqrt(least * most))]
    return Energy(
        shift_toggles=ours,
        multiply_toggles=theirs,
        shift_registers=shift.registers / LANES,
        multiply_registers=multiply.registers / LANES,
        dsp_toggles=(least, most),
        energy_per_mac=ratios[2],
        energy_per_mac_range=(ratios[0], ratios[1]),
        break_even_dsp_toggles=ours - theirs if ours > theirs else None,
    )


def dsp_toggles() -> tuple[float, float]:
    """A 16-bit multiplication in toggles of the fabric: made like a chip's, and like the fabric."""
    # 16 is the geometric mean of 8 and 32.
    multiply = sqrt(MULTIPLY_8_BITS * MULTIPLY_32_BITS)  # about quadratic in the bits
    most = multiply / ADD_32_BITS * TOGGLES_OF_AN_ADDITION
    return most / FPGA_OVER_ASIC, most


def layer() -> tuple[np.ndarray, np.ndarray]:
    """A 3x3 convolution of 16 channels on pictures of digits: operands of one output channel.

    Gives activations, (positions, taps, lanes) of 16 bits as the array stores them, and weights,
    (taps, lanes) in reals.
    """
    from sklearn.datasets import load_digits

    rng = np.random.default_rng(0)
    images = np.pad(load_digits().images[:IMAGES], ((0, 0), (2, 2), (2, 2)))
    first = rng.normal(size=(LANES, 3, 3))
    features = np.maximum(np.einsum("nyxij,cij->nyxc", _windows(images), first), 0)
    # The whole range of 16 bits, less the offset that storage subtracts.
    stored = np.rint(features / features.max() * 65_535).astype(np.int64) - 32_768
    windows = _windows(stored)  # (images, rows, columns, lanes, 3, 3)
    activations = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, TAPS, LANES)
    return activations, rng.normal(size=(TAPS, LANES))


def power_of_two_codes(weights: np.ndarray, config: SvpeConfig) -> np.ndarray:
    """The nearest codes at the one scale that suits all weights best."""
    import torch

    from hw.spec.isa.array_codes import array_code
    from qnn.quant import pow2
    from qnn.quant.search_exponent import search_exponent

    tensor = torch.from_numpy(weights).reshape(1, -1)
    exponent = search_exponent(tensor, config.weight_bits, 1)
    indices = pow2.nearest(tensor, exponent, config.weight_bits, 1)[0, 0]
    found = [array_code(int(index), config) for index in indices]
    return np.array(found).reshape(weights.shape)


def uniform_codes(weights: np.ndarray, config: SvpeConfig) -> np.ndarray:
    """The nearest integers that use all bits of a weight."""
    most = Field("weight", config.weight_bits, signed=True).high
    return np.rint(weights / np.abs(weights).max() * most).astype(np.int64)


def steps(activations: np.ndarray, codes: np.ndarray) -> list:
    """The steps of the layer: one for each tap of each output position."""
    last = len(codes) - 1
    controls = [
        {"enable": 1, "shift": int(tap == 0), "first": int(tap == 0), "last": int(tap == last)}
        for tap in range(last + 1)
    ]
    return [
        (operands, codes[tap].tolist(), controls[tap])
        for position in activations.tolist()
        for tap, operands in enumerate(position)
    ]


def _windows(images):
    return np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(1, 2))
