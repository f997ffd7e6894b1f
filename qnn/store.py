"""``qnn.save`` and ``qnn.load``: models, graphs and designs, each in the format of its own."""

from pathlib import Path
from typing import TYPE_CHECKING

from qnn.design import Design
from qnn.errors import QnnError
from qnn.ir import serialize
from qnn.ir.graph import Graph

if TYPE_CHECKING:
    from qnn.nn.model import QuantizedModel

MODEL, GRAPH = ".safetensors", ".qgraph"  # suffixes of files; a design is a folder


def save(value: "QuantizedModel | Graph | Design", path: str | Path) -> Path:
    """Write a quantized model, a graph or a design, whole or not at all, and give its path.

    A quantized model becomes a ``.safetensors`` file, an integer graph a ``.qgraph`` file, and a
    design a build folder.

    Raises
    ------
    TypeError
        The value is of another kind.
    QnnError
        The path has another suffix, or cannot be written.
    """
    path = Path(path)
    if isinstance(value, Design):
        return value.write(path)
    if isinstance(value, Graph):
        serialize.save(value, _suffixed(path, "a graph", GRAPH))
        return path
    # Here, as graphs and designs need no torch.
    from qnn.nn import artifact
    from qnn.nn.model import QuantizedModel

    if not isinstance(value, QuantizedModel):
        raise TypeError(
            f"save needs a quantized model, a graph or a design, not {type(value).__name__}; save "
            f"float weights with torch.save(model.state_dict(), path)"
        )
    artifact.save(value, _suffixed(path, "a quantized model", MODEL))
    return path


def load(path: str | Path) -> "QuantizedModel | Graph | Design":
    """What ``save`` or a command wrote there; nothing in it is unpickled or executed.

    A folder is read as a design. Of a file the first bytes tell what it is, whatever its name.

    Raises
    ------
    QnnError
        There is nothing of these kinds, or it was cut short or altered.
    """
    path = Path(path)
    if path.is_dir():
        return Design.read(path)
    try:
        # A pipe or a device would let the reader wait for ever.
        if path.exists() and not path.is_file():
            raise QnnError(f"{path}: load needs a file or a build folder; copy it into one")
        with path.open("rb") as file:
            head = file.read(len(serialize.MAGIC))
    except OSError as error:
        raise QnnError(
            f"{path}: load needs a model, a graph or a build folder, but got "
            f"'{error.strerror}'; name one that 'qnn.save' or a command wrote"
        ) from None
    if head == serialize.MAGIC or path.suffix == GRAPH:
        return serialize.load(path)
    from qnn.nn import artifact

    return artifact.load(path)


def _suffixed(path, what, suffix):
    if path.suffix != suffix:
        raise QnnError(
            f"{path}: {what} is saved as a {suffix} file, not as '{path.suffix}'; choose "
            f"{path.with_suffix(suffix).name}"
        )
    return path
