"""After a large drop: what to try, the cheapest and most certain first."""

from qnn.tasks.outputs import Numbers

# A point is what quantization of a network that works costs; see docs/results.md.
MOST_POINTS = 1.0  # of accuracy or mean IoU, in percent
MOST_ERROR = 1.2  # times the float model's mean squared error
# Below 10 dB a third of an output is noise.
LEAST_DECIBELS = 10.0  # of outputs without labels


def fell(before: Numbers, after: Numbers) -> str | None:
    """By how much an output is worse than the float model's, in words; None for a little."""
    if "accuracy" in before:
        points = before["accuracy"] - after["accuracy"]
        return f"accuracy fell by {points:.2f} points" if points > MOST_POINTS else None
    if "mse" in before:
        times = after["mse"] / before["mse"] if before["mse"] else float("inf")
        return f"the error is {times:.2f} times as large" if times > MOST_ERROR else None
    decibels = after.get("snr_db")
    if decibels is not None and decibels < LEAST_DECIBELS:
        return f"outputs keep {decibels:.1f} dB of signal to noise"
    return None


def advice(
    most_terms: int, rounding: str, bias_correction: bool | None, target: float | None = None
) -> list[str]:
    """What to try, in order, of what was not tried yet; options of ``qnn quantize``.

    ``target`` is that by which terms were chosen; None: they were given.
    """
    tries = []
    if target is not None:
        tries.append(f"a smaller loss on images held out (--target {target / 4:g})")
    elif most_terms < 4:
        tries.append(f"more terms (--terms {most_terms + 1})")
    if rounding == "nearest":
        tries.append("the default rounding (--rounding auto)")
    if bias_correction is False and target is None:
        tries.append("--bias-correction")
    tries.append("more and other images to calibrate on (--samples)")
    if rounding != "nearest" or most_terms >= 4:
        tries.append("training on the grid (qnn train)")
    return tries
