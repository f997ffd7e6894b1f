"""An input that the network returns as it is becomes a copy."""

from dataclasses import replace

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.conv import identity


def close_outputs(graph: FloatGraph) -> FloatGraph:
    """Give each such output a node of its own, behind the inputs."""
    returned = [source for source in graph.inputs if graph.is_output(source.name)]
    copies = {source.name: identity(f"{source.name}.output", source) for source in returned}
    outputs = tuple(
        replace(o, name=copies[o.name].name) if o.name in copies else o for o in graph.outputs
    )
    # Inputs stay first: where they end is where computing begins.
    computed = graph.nodes[len(graph.inputs) :]
    nodes = (*graph.inputs, *copies.values(), *computed)
    return replace(graph, nodes=nodes, outputs=outputs)
