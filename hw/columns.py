"""The address generator of the other columns: from column 0's place to each column's request."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.delay import delay, register
from hw.origin import Frame, Place
from hw.spec.config import COLUMN_STEPS
from hw.spec.timing import column_stages


def bank_bits(config):
    """The number of low address bits that choose a bank."""
    return (config.banks - 1).bit_length()


def row_bits(config):
    """The number of address bits that choose a row within a bank."""
    return (config.feature_words // config.banks - 1).bit_length()


class Request(data.StructLayout):
    """A column's read of ``row`` in ``bank``; without ``read`` the column gets the padding."""

    def __init__(self, config):
        super().__init__({"read": 1, "bank": bank_bits(config), "row": row_bits(config)})


class Columns(wiring.Component):
    """Add each column's offset, and see whether its pixel lies inside.

    Outputs come ``column_stages + 1`` cycles after the inputs. A column that is not in use reads
    nothing.

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    place : In(Place), steps : In(COLUMN_STEPS of Place), frame : In(Frame)
        See ``Origin``.
    requests : Out(Request(config)).array(columns)
    pad_value : Out(signed(activation_bits))
    """

    def __init__(self, config):
        self._config = config
        super().__init__(
            {
                "place": In(Place),
                "steps": In(data.ArrayLayout(Place, COLUMN_STEPS)),
                "frame": In(Frame),
                "requests": Out(Request(config)).array(config.columns),
                "pad_value": Out(signed(config.activation_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        stages = column_stages(self._config)
        frame = delay(m, self.frame, stages, name="frame")

        places = [self.place]
        # Each stage doubles the columns: bit b of a column's number adds steps[b] by one adder.
        for bit in range(stages):
            step = delay(m, self.steps[bit], bit, name=f"step_{bit}")
            moved = [_add(m, f"moved_{bit}_{n}", place, step) for n, place in enumerate(places)]
            # Columns without this bit wait a stage, so that all places leave in the same cycle.
            kept = [delay(m, place, 1, name=f"kept_{bit}_{n}") for n, place in enumerate(places)]
            places = kept + moved

        for column, (request, place) in enumerate(zip(self.requests, places, strict=True)):
            self._request(m, request, column, place, frame)
        m.d.comb += self.pad_value.eq(delay(m, frame.pad_value, 1, name="pad_value"))

        return m

    def _request(self, m, request, column, place, frame):
        # Coordinates decide about padding, since addresses beyond a row's end are other pixels.
        inside = (place.x >= 0) & (place.x < frame.width)
        inside &= (place.y >= 0) & (place.y < frame.height)
        # Columns behind the tile's last pixel must not read: they could meet others in a bank.
        used = frame.valid & (frame.columns > column)
        split = bank_bits(self._config)
        held = register(m, request, name=f"request_{column}")
        m.d.sync += [
            held.read.eq(used & (inside | frame.anywhere)),
            held.bank.eq(place.address[:split]),
            held.row.eq(place.address[split : split + row_bits(self._config)]),
        ]


def _add(m, name, place, step):
    """Register of the place that lies ``step`` after ``place``."""
    moved = Signal(Place, name=name, reset_less=True)
    m.d.sync += [moved[field].eq(place[field] + step[field]) for field in ("address", "x", "y")]
    return moved
