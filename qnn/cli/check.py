"""``qnn check``: whether a model fits an accelerator, and with how much room."""

from collections import Counter

from qnn.cli.output import Json, print_json, print_table
from qnn.cli.sources import ConfigName, ConfigSettings, Model, read_config, read_graph


def check(
    model: Model,
    config: ConfigName = "test",
    set_: ConfigSettings = None,
    as_json: Json = False,
) -> None:
    """Say whether MODEL fits an accelerator.

    Exit code 0 if it does, else 1, and the reason.
    """
    from qnn.compiler import compile_graph
    from qnn.graph.ir import Input

    graph = read_graph(model)
    target = read_config(config, set_, graph)
    image = compile_graph(graph, target)
    layers = [node for node in graph.nodes if not isinstance(node, Input)]
    if as_json:
        print_json({"fits": True, "config": str(target), "layers": len(layers)})
        return
    macs = Counter()
    for layer in image.layers:
        macs[layer.name] += layer.macs
    rows = [
        (
            node.name,
            type(node).__name__.lower(),
            "x".join(map(str, node.shape)),
            str(node.type),
            f"{macs[node.name]:,}",
        )
        for node in layers
    ]
    print_table(str(model), ("layer", "operation", "shape", "type", "multiply-accumulates"), rows)
    print(f"fits {target}")
