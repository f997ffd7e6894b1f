"""The picture of ``qnn evaluate``: signal to noise of formats and of layers, as bars in an SVG."""

from html import escape

WIDTH, ROW, LEFT, BARS = 760, 22, 220, 420  # pixels
# Bars end there: outputs that are nearer to the float model's look alike to every task.
MOST_DECIBELS = 60.0
COLORS = {"format": "#1f77b4", "layer": "#d62728"}


def picture(said: dict) -> str:
    """An SVG of what the command's JSON says: a bar for each format, and for each layer alone."""
    rows = [("format", row) for row in said["formats"]]
    rows += [("layer", row) for row in (said["activations"], *said["layers"])]
    height = ROW * (len(rows) + 3)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        _text(8, ROW, "Signal to noise of the outputs against the float model (dB)", "bold"),
        _text(8, 2 * ROW, f"blue: formats; red: one layer of {said['formats'][0]['name']} rounded"),
    ]
    for place, (kind, row) in enumerate(rows, 2):
        parts += _bar(ROW * place + 8, kind, row)
    return "\n".join([*parts, "</svg>", ""])


def _bar(top, kind, row):
    decibels = row["snr_db"]
    # Of several outputs the worst counts; None is an output that is equal.
    values = list(decibels.values()) if isinstance(decibels, dict) else [decibels]
    worst = min((value for value in values if value is not None), default=None)
    share = 1.0 if worst is None else min(max(worst, 0.0), MOST_DECIBELS) / MOST_DECIBELS
    width = max(1, round(BARS * share))
    label = "exact" if worst is None else f"{worst:.1f}"
    return [
        _text(8, top + 15, row["name"]),
        f'<rect x="{LEFT}" y="{top}" width="{width}" height="{ROW - 4}" fill="{COLORS[kind]}"/>',
        _text(LEFT + width + 6, top + 15, label),
    ]


def _text(x, y, text, weight="normal"):
    return f'<text x="{x}" y="{y}" font-weight="{weight}">{escape(text)}</text>'
