"""``qnn compile``: a quantized model in, a build folder out."""

from pathlib import Path
from typing import Annotated

import typer

from qnn.cli.output import Json, print_json
from qnn.cli.sources import ConfigName, ConfigSettings, Model, read_config, read_graph


def compile_(
    model: Model,
    out: Annotated[Path, typer.Option("-o", help="Build folder to write.")] = Path("build"),
    config: ConfigName = "test",
    set_: ConfigSettings = None,
    batch: Annotated[int, typer.Option(min=1, help="Images that one run computes.")] = 1,
    as_json: Json = False,
) -> None:
    """Compile MODEL to a build folder.

    It holds program and weights as an image, and the accelerator's Verilog.
    """
    from qnn.design import compile

    graph = read_graph(model)
    design = compile(graph, config=read_config(config, set_, graph), batch=batch)
    design.write(out)
    image = design.image
    result = {
        "build": str(out),
        "config": str(image.config),
        "layers": len({layer.name for layer in image.layers}),
        "program_bytes": image.program_bytes,
        "image_bytes": len(image.payload),
    }
    if as_json:
        print_json(result)
        return
    print(
        f"{out}: {result['layers']} layers for {result['config']}; "
        f"{result['image_bytes']:,} bytes, {result['program_bytes']:,} of them program"
    )
