"""The processing element: products, their sum, and a place for it in a chain of sums."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.circuits import Words
from hw.delay import delay
from hw.products import products
from hw.spec.timing import product_stages, tree_levels
from hw.tree import add_in_threes


class Control(data.Struct):
    """What a step does to the accumulator."""

    enable: 1  # add the step's sum,
    shift: 1  # to the sum so far moved left, as a term of the weights begins,
    first: 1  # to zero instead, as a tile begins: always together with ``shift``,
    last: 1  # and put the accumulator into the chain


class ProcessingElement(wiring.Component):
    """Sum ``lanes`` products per cycle; pass operands on one cycle later, and sums two.

    It is an SVPE, a shift vector processing element, where ``config.pe`` is ``shift``. The sum of a
    tile is out for one cycle, ``3 + product_stages + tree_levels`` cycles after the operands of its
    last step came in. In all other cycles, what came in as ``passing`` is out. The sum would wrap,
    but the compiler proves that it cannot overflow. A shifted activation is negated by inverting
    it; the missing +1s use the adder tree's carry inputs, one per lane. Products are raised above
    zero in the tree, and the accumulator takes back by how much. Between two terms of the weights
    the sum moves left by ``config.term_shift`` places on its way to the adder.

    The platform may have ``circuits`` of its own, such as ``hw.mapped.Mapped``: registers and
    results are the same.

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    activations : In(lanes * activation_bits), next_activations : Out of the same
        To the element of the next row.
    weights : In(lanes * weight_bits), control : In(Control), and next_weights, next_control : Out
        To the element of the next column.
    passing : In(signed(accumulator_bits)), sum : Out(signed(accumulator_bits))
        From the element of the column before, and to that of the next.
    """

    def __init__(self, config):
        self._config = config
        activations, weights = config.feature_bits, config.lanes * config.weight_bits
        super().__init__(
            {
                **operand_ports(activations, weights),
                "passing": In(signed(config.accumulator_bits)),
                "sum": Out(signed(config.accumulator_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        latency = product_stages(self._config) + tree_levels(self._config)
        activations, weights, control = held_operands(self)
        circuits = getattr(platform, "circuits", Words)(m)
        terms, carries, raised = self._sum_products(m, circuits, activations, weights)
        # Control keeps its reset: an enable from before it would add to the first real step's sum.
        late = delay(m, control, latency, name="control", reset_less=False)
        # The accumulator enters the chain of sums one cycle after its last step.
        copy = delay(m, late.last, 1, name="copy")

        m.d.sync += [
            activations.eq(self.activations),
            weights.eq(self.weights),
            control.eq(self.control),
        ]
        total = keep_sum(
            m, circuits, self._config, late, copy, (terms, carries, raised), self.passing
        )

        m.d.comb += [
            self.next_activations.eq(activations),
            self.next_weights.eq(weights),
            self.next_control.eq(control),
            self.sum.eq(total),
        ]

        return m

    def _sum_products(self, m, circuits, activations, weights):
        """At most two terms that make the step's sum, as many carries, and what is too much."""
        config = self._config
        lanes = range(config.lanes)
        terms, carries = products(
            m,
            circuits,
            config,
            [activations.word_select(n, config.activation_bits).as_signed() for n in lanes],
            [weights.word_select(n, config.weight_bits) for n in lanes],
        )
        terms, carries = add_in_threes(m, circuits, terms, carries)
        return [term.value for term in terms], carries, sum(term.raised for term in terms)


def operand_ports(activations, weights):
    """Ports by which operands and control enter an element, and leave it for the next ones.

    Parameters
    ----------
    activations, weights : bits of one step's
    """
    return {
        "activations": In(activations),
        "weights": In(weights),
        "control": In(Control),
        "next_activations": Out(activations),
        "next_weights": Out(weights),
        "next_control": Out(Control),
    }


def held_operands(element):
    """Registers for an element's activations, weights and control, in this order."""
    return [
        Signal.like(getattr(element, name), name=f"held_{name}", reset_less=True)
        for name in ("activations", "weights", "control")
    ]


def keep_sum(m, circuits, config, control, copy, step, passing):
    """The register by which a sum over the steps of a tile leaves an element.

    Parameters
    ----------
    control : Control, when the step's products are there
    copy : 1 bit, a cycle after the last step of a tile
    step : terms, carries and what is too much, which make the step's sum
    passing : signed(accumulator_bits), from the element of the column before
    """
    accumulator, passed, result = (
        Signal(signed(config.accumulator_bits), name=name, reset_less=True)
        for name in ("accumulator", "passed", "result")
    )
    # Only enabled steps touch the accumulator: skip steps and idle cycles leave it alone.
    with m.If(control.enable):
        kept = accumulator, config.term_shift, control.shift, control.first
        m.d.sync += accumulator.eq(circuits.accumulate(*kept, *step))  # wraps
    m.d.sync += [
        passed.eq(passing),
        # The chain has one place per column: a sum enters when its turn has come, and passes else.
        result.eq(circuits.choose(copy, accumulator, passed)),
    ]
    return result
