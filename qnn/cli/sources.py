"""What commands read: models, graphs, build folders, configurations and images."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import typer

from hw.spec.config import CONFIGS
from qnn.cli.output import progress

if TYPE_CHECKING:
    import numpy as np

    from hw.spec.config import SvpeConfig
    from qnn.design import Design
    from qnn.ir.graph import Graph
    from qnn.nn.data import Dataset

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A .safetensors or .qgraph file.")]
Build = Annotated[Path, typer.Argument(metavar="BUILD", help="A folder of 'qnn compile'.")]
DATA_HELP = (
    "'digits', an .npz with uint8 NHWC x_train ... y_test, or a folder train/CLASS/*.png ..."
)
Data = Annotated[str, typer.Option(help=DATA_HELP)]
Images = Annotated[int, typer.Option(min=1, help="Test images to take.")]
CONFIG_NAMES = ", ".join(CONFIGS)
ConfigName = Annotated[str, typer.Option(help=f"Configuration: {CONFIG_NAMES}.")]
ConfigSettings = Annotated[
    list[str] | None, typer.Option("--set", help="NAME=VALUE changes a size; may be repeated.")
]


def read_graph(path: Path) -> "Graph":
    """The integer graph in ``path``: a ``.qgraph``, or a ``.safetensors`` model, exported."""
    if path.suffix == ".qgraph":
        from qnn.ir import serialize

        return serialize.load(path)
    if path.suffix == ".safetensors":
        from qnn.nn import artifact
        from qnn.ptq.export import export

        return export(artifact.load(path))
    raise typer.BadParameter(f"{path} is neither a .safetensors nor a .qgraph file")


def read_design(folder: Path) -> "Design":
    """The build folder of ``qnn compile``."""
    from qnn.design import Design

    return Design.read(folder)


def read_config(
    name: str,
    settings: list[str] | None,
    graph: "Graph",
    given: Mapping[str, int] = MappingProxyType({}),
) -> "SvpeConfig":
    """The named configuration for ``graph``, with the sizes that ``settings`` change.

    Parameters
    ----------
    given : sizes that differ from the named ones where ``settings`` do not name them
    """
    from dataclasses import fields

    from hw.spec.config import PES, SvpeConfig
    from qnn.design import config_for

    sizes = [field.name for field in fields(SvpeConfig) if field.name != "pe"]
    changes: dict = dict(given)
    for setting in settings or ():
        key, _, value = setting.partition("=")
        if not (key in sizes and value.isdecimal()) and not (key == "pe" and value in PES):
            raise typer.BadParameter(
                f"--set needs SIZE=NUMBER, with a size of {', '.join(sizes)}, or pe=KIND, with a "
                f"kind of {', '.join(PES)}, not '{setting}'"
            )
        changes[key] = value if key == "pe" else int(value)
    return config_for(name, graph, **changes)


def read_data(name: str) -> "Dataset":
    """The data set called ``name``, with a bar while images of a folder are read."""
    from qnn.nn.data import load_data

    with progress(f"reading {name}") as report:
        return load_data(name, report)


def read_test_images(data: str, count: int) -> tuple["np.ndarray", "np.ndarray"]:
    """The first test images, (images, channels, height, width) uint8, and their labels."""
    dataset = read_data(data)
    return dataset.x_test[:count].numpy(), dataset.y_test[:count].numpy()
