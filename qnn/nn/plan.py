"""A quantized network without its numbers: its layers, and what the whole of them has."""

from dataclasses import asdict, dataclass, replace

from qnn.fields import Count, FieldsError, typed_fields
from qnn.host.program import HostProgram
from qnn.ir.graph import Output, host_in, results_of
from qnn.ir.shape import fits_joins
from qnn.nn.layer_plans import ConvPlan, InputPlan, LayerPlan
from qnn.nn.plan_fields import check_names, layer_fields, layer_of, with_pixels
from qnn.nn.preprocess import one_or_all
from qnn.quant.by_terms import Terms

_FILE_FIELDS = {
    "layers": list[dict],
    "outputs": tuple[tuple[str, tuple[Count, ...]], ...],
    "weight_bits": int,
    "activation_bits": int,
    "terms": int,
    "rounding": str,
    "output_axes": tuple[str | None, ...],
    "host": str | None,
    # Of an only input one entry a channel, of several inputs a list of such, null for no pixels.
    "mean": object,
    "std": object,
}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A quantized network without its numbers.

    Members
    -------
    layers : in topological order, the inputs first
    outputs : names of the results, and their shapes in the user's model without the batch
    output_axes : of the results, as ``qnn.ir.shape`` has them; empty: each in its own order
    weight_bits, terms : the greatest of the layers'
    host : what the host computes of the outputs; None: the user gets them as they are
    """

    layers: tuple[LayerPlan, ...]
    outputs: tuple[tuple[str, tuple[Count, ...]], ...]
    weight_bits: int
    activation_bits: int
    terms: int
    rounding: str
    output_axes: tuple[str | None, ...] = ()
    host: HostProgram | None = None

    @property
    def results(self) -> tuple[tuple[str, tuple[int, ...], str | None], ...]:
        """Name, shape and axes of each output."""
        axes = self.output_axes or (None,) * len(self.outputs)
        return tuple((*output, each) for output, each in zip(self.outputs, axes, strict=True))

    @property
    def network_outputs(self) -> tuple[Output, ...]:
        """Name, shape and axes of each output, as a graph has them."""
        return tuple(Output(*each) for each in self.results)

    @property
    def given(self) -> tuple[Output, ...]:
        """The scores of what the user gets, as ``results_of`` has them."""
        return results_of(self.network_outputs, self.host)

    @property
    def network_inputs(self) -> tuple[InputPlan, ...]:
        """What the network is run on, in the order in which the user gives it."""
        return tuple(layer for layer in self.layers if not layer.inputs)

    @property
    def convs(self) -> tuple[ConvPlan, ...]:
        """The convolutions."""
        return tuple(layer for layer in self.layers if isinstance(layer, ConvPlan))

    @property
    def learned(self) -> tuple[ConvPlan, ...]:
        """The convolutions whose weights are learned."""
        return tuple(layer for layer in self.convs if not layer.fixed)

    @property
    def layer_terms(self) -> dict[str, int]:
        """The terms of each layer whose weights are learned, by name; the most of its channels."""
        return {layer.name: layer.terms for layer in self.learned}

    @property
    def channel_terms(self) -> dict[str, Terms]:
        """The terms of each layer whose weights are learned, one number or one for each channel."""
        return {layer.name: layer.grid_terms for layer in self.learned}

    @property
    def mean_terms(self) -> float | None:
        """The mean terms of all products; None where no weights are learned."""
        products = sum(layer.products for layer in self.learned)
        spent = sum(layer.products * layer.mean_terms for layer in self.learned)
        return spent / products if products else None

    def to_fields(self) -> dict:
        """Plain values for JSON."""
        # All channels' mean and std are told once, not again with each layer.
        pixels = [layer.pixels for layer in self.network_inputs]
        host = {} if self.host is None else {"host": self.host.text(full=True)}
        return {
            **{name: value for name, value in asdict(self).items() if name != "host"},
            **host,
            "layers": [layer_fields(layer) for layer in self.layers],
            "mean": one_or_all([each and each.mean for each in pixels]),
            "std": one_or_all([each and each.std for each in pixels]),
        }

    @staticmethod
    def from_fields(fields: dict) -> "Plan":
        """The plan whose ``to_fields`` gave ``fields``, after JSON.

        Raises
        ------
        FieldsError
            They are no plan's, or name an operand that no earlier layer computes.
        """
        # Few networks have a host program, so that most files do not name it.
        found = typed_fields(_FILE_FIELDS, fields, ("host",))
        if found["output_axes"] and len(found["output_axes"]) != len(found["outputs"]):
            raise FieldsError("axes of each output, or none", "of others")
        shapes = [shape for _, shape in found["outputs"]]
        if not fits_joins(shapes, found["output_axes"] or (None,) * len(shapes)):
            raise FieldsError("outputs that continue the one before as its axes say", "others")
        layers = [layer_of(number, dict(layer)) for number, layer in enumerate(found["layers"])]
        check_names(layers, found["outputs"])
        layers = with_pixels(layers, found.pop("mean"), found.pop("std"))
        host = found.pop("host", None)
        plan = Plan(**found | {"layers": layers})
        return replace(plan, host=host_in(host, plan.network_outputs))
