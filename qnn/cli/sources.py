"""What commands read: models, graphs, build folders, configurations and images."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hw.spec.config import CONFIGS, named_config
from qnn.backend.registry import DEFAULT, named, names
from qnn.cli.checks import DIGITS, data_source, graph_file, one_of, taken_data
from qnn.cli.output import note, progress
from qnn.errors import CompileError, ModelError, first_line

if TYPE_CHECKING:
    from torch import nn

    from qnn.design import Design
    from qnn.ir.graph import Graph
    from qnn.nn.arrays import Refusal
    from qnn.nn.data import Dataset
    from qnn.nn.named_data import NamedDataset
    from qnn.runtime.given import Given
    from qnn.tasks.outputs import Labels

Model = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="A .safetensors or .qgraph file, or an .onnx file of QONNX.",
        callback=graph_file,
    ),
]
Build = Annotated[Path, typer.Argument(metavar="BUILD", help="A folder of 'qnn compile'.")]
DATA_HELP = (
    "'digits', an .npz with x_train, x_test (images NHWC or NCHW, or vectors; uint8 pixels or "
    "floats) and y_train, y_test if labelled (y_test_0, y_test_1 of several outputs), or a folder "
    "train/CLASS/*.png ...; of several inputs an .npz with x_train_NAME and x_test_NAME for each."
)
Data = Annotated[str, typer.Option(help=DATA_HELP, callback=data_source)]
Layout = Annotated[
    str | None,
    typer.Option(
        "--layout",
        help="Axes of images in an .npz: nhwc or nchw. Without it as the model takes them.",
        show_default=False,
        callback=one_of(("nhwc", "nchw")),
    ),
]
Images = Annotated[int, typer.Option(min=1, help="Test images to take.")]
DeviceName = Annotated[
    str | None,
    typer.Option(
        "--device",
        help="What runs it: functional, rtl or, of simulate alone, reference; a back end may have "
        "others. Without it the one that is closest to hardware.",
        show_default=False,
    ),
]


def _back_end(name: str) -> str:
    # When it is asked, as a folder that adds one may come on the path after this file is read.
    return one_of(names())(name)


BackendName = Annotated[
    str,
    typer.Option("--backend", help=f"Back end: {', '.join(names())}.", callback=_back_end),
]
CONFIG_NAMES = ", ".join(CONFIGS)
CompiledFor = Annotated[
    str,
    typer.Option(help="Configuration that they are compiled for.", callback=one_of(CONFIGS)),
]
CONFIG_HELP = f"Configuration: {CONFIG_NAMES}, or a build folder, which has the same then."
ConfigName = Annotated[str, typer.Option(help=CONFIG_HELP)]
ConfigSettings = Annotated[
    list[str] | None, typer.Option("--set", help="NAME=VALUE changes a size; may be repeated.")
]


def device_of(name: str | None, devices: tuple[str, ...]) -> str:
    """The device called ``name``, by default the last of ``devices``."""
    if name is not None and name not in devices:
        raise typer.BadParameter(f"--device must be one of {', '.join(devices)}, not '{name}'")
    return name or devices[-1]


def read_design(folder: Path) -> "Design":
    """The build folder of ``qnn compile``."""
    from qnn.design import Design

    return Design.read(folder)


def read_array_design(folder: Path, verb: str) -> "Design":
    """The build folder of ``qnn compile`` for the array, which ``qnn VERB`` is about.

    Raises
    ------
    CompileError
        Another back end made it.
    """
    design = read_design(folder)
    if design.backend.name != DEFAULT:
        raise CompileError(
            f"{folder}: 'qnn {verb}' needs a build of back end '{DEFAULT}', but this is of "
            f"'{design.backend.name}'; compile the model for that"
        )
    return design


def read_config(
    name: str | None,
    settings: list[str] | None,
    graph: "Graph",
    given: Mapping[str, int] = MappingProxyType({}),
    backend: str = DEFAULT,
) -> Any:
    """The named configuration for ``graph``, with the sizes that ``settings`` change.

    Parameters
    ----------
    name : of a configuration; or of a build folder, whose own is taken as it is
    given : sizes that differ from the named ones where ``settings`` do not name them
    """
    if name is not None and name not in CONFIGS and Path(name).is_dir():
        return _config_of(Path(name), settings, backend)
    return named(backend).configure(graph, name, dict(given) | _changes(settings, backend))


def check_sizes(name: str | None, settings: list[str] | None, backend: str) -> Any:
    """The array's configuration as it is without a network; None for another back end.

    Raises
    ------
    BadParameter
        The array has no configuration of that name, or none of those sizes.
    """
    changes = _changes(settings, backend)
    if name is not None and name not in CONFIGS and Path(name).is_dir():
        return _config_of(Path(name), settings, backend)
    # Other back ends say so when they have the graph.
    if backend != DEFAULT:
        return None
    try:
        return named_config(name or "test", **changes)
    except ValueError as error:
        # Whatever the network is: the command line alone shows it.
        at_fault = "--set" if changes and (name is None or name in CONFIGS) else "--config"
        raise typer.BadParameter(str(error), param_hint=f"'{at_fault}'") from None


def _changes(settings, backend) -> dict:
    target = named(backend)
    words = {name: known for name, known in target.parameters.items() if known}
    sizes = [name for name in target.parameters if name not in words]
    kinds = "".join(
        f", or {name}=KIND, with a kind of {', '.join(known)}" for name, known in words.items()
    )
    changes: dict = {}
    for setting in settings or ():
        key, _, value = setting.partition("=")
        if not (key in sizes and value.isdecimal()) and value not in words.get(key, ()):
            raise typer.BadParameter(
                f"--set needs SIZE=NUMBER, with a size of {', '.join(sizes)}{kinds}, not "
                f"'{setting}'"
            )
        changes[key] = value if key in words else int(value)
    return changes


def _config_of(build, settings, backend):
    """The configuration of a build, so that another network runs on the same hardware."""
    design = read_design(build)
    if settings or design.backend.name != backend:
        raise typer.BadParameter(
            f"--config {build} takes the configuration of a build of back end "
            f"'{design.backend.name}' as it is; leave out --set, and name that --backend"
        )
    return design.config


def read_data(name: str, layout: str | None = None, refusal: "Refusal | None" = None) -> "Dataset":
    """The data set called ``name``, with a bar while images of a folder are read."""
    from qnn.nn.data import load_data

    with progress(f"reading {name}") as report:
        images = load_data(name, report, layout, refusal)
    shape = tuple(images.x_train.shape[1:])
    # Nobody may have asked for these; a file's are looked at while they are read.
    if name == DIGITS and refusal is not None and (reason := refusal(shape)) is not None:
        raise ModelError(
            f"data {taken_data(name)} of shape {shape} do not fit the model: {reason}; give --data"
        )
    return images


def read_data_for(
    name: str, model: "nn.Module", layout: str | None = None
) -> "Dataset | NamedDataset":
    """The data set called ``name``; of several inputs, in the order of the model's ``forward``."""
    from inspect import signature

    from qnn.nn.named_data import load_named, named_inputs

    named = named_inputs(name)
    if not named:
        return read_data(name, layout, refusal_of(model))
    parameters = signature(model.forward).parameters.values()
    taken = [p.name for p in parameters if p.name in named or p.default is p.empty]
    # A float model takes images or vectors: what has no channels is an image of one.
    return load_named(name, dict.fromkeys(taken, ("CHW", None)), layout)


def refusal_of(model: "nn.Module") -> "Refusal":
    """Why ``model``, of one input, does not take a sample of a shape; by trying it."""
    import torch

    from qnn.ir.shape import usual_axes
    from qnn.nn.model import QuantizedModel

    @torch.no_grad()
    def refusal(shape):
        if isinstance(model, QuantizedModel):
            plan = model.plan.network_inputs[0]
            return mismatch(plan.shape, plan.axes or usual_axes(plan.shape), shape)
        try:
            model(torch.zeros(_images_of(model), *shape))
        except Exception as error:  # any: it is the user's module
            return first_line(error)
        return None

    return refusal


def _images_of(model) -> int:
    """A number of images that ``model`` takes: an exported program may have one of its own."""
    from torch.fx import GraphModule

    nodes = model.graph.find_nodes(op="placeholder") if isinstance(model, GraphModule) else ()
    shapes = [getattr(node.meta.get("val"), "shape", ()) for node in nodes]
    return next((n for n, *_ in filter(len, shapes) if type(n) is int), 1)  # a free one is no int


def mismatch(block: tuple[int, int, int], axes: str, shape: tuple[int, ...]) -> str | None:
    """Why an input of ``block`` and ``axes`` does not take a sample of ``shape``, or None."""
    from qnn.ir.shape import user_shape

    wanted = user_shape(block, axes)
    # A vector may come as the block of one pixel that it is.
    if shape in (wanted, block) or (len(shape) == 1 and (*shape, 1, 1) == block):
        return None
    first = ", channels first" if axes == "CHW" else ""
    return f"its input has shape {wanted}{first}, not {shape}"


def read_test_images(
    data: str, graph: "Graph", count: int, layout: str | None = None
) -> tuple["Given", "Labels"]:
    """The first test images as the graph's inputs take them, and the labels of all.

    Of one input they are (images, channels, height, width) uint8 or floats, or vectors; of several
    a tuple, each of its input's axes. There may be no labels.
    """

    def taken(node):
        return lambda shape: mismatch(node.shape, node.axes, shape)

    import numpy as np

    if len(graph.inputs) == 1:
        (node,) = graph.inputs
        dataset = read_data(data, layout, taken(node))
        return np.asarray(_first(dataset.x_test, count, data)), _arrays(dataset.y_test)
    from qnn.nn.named_data import TEST, read_part

    inputs = {node.name: (node.axes, taken(node)) for node in graph.inputs}
    x, labels = read_part(data, TEST, inputs, layout)
    taken_images = _first(x[0], count, data)
    return tuple(np.asarray(images[: len(taken_images)]) for images in x), _arrays(labels)


def _first(images, count, data):
    """The first ``count`` images; fewer are taken, and told, where the data have no more."""
    if count > len(images):
        note(f"{data} has {len(images):,} test images, not {count:,}; all of them are taken")
    # A slice by a number beyond what torch counts with would be an error of its own.
    return images[: min(count, len(images))]


def _arrays(labels) -> "Labels":
    """Labels of tensors as arrays."""
    import numpy as np

    if isinstance(labels, tuple):
        return tuple(None if each is None else np.asarray(each) for each in labels)
    return None if labels is None else np.asarray(labels)
