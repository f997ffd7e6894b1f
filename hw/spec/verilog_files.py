"""Where a build's Verilog lies, and which of its files simulation and synthesis take."""

from collections.abc import Iterable, Mapping

from qnn.errors import DeviceError

TOP = "qnn_accelerator"  # the module, and the file that holds it
WORDS = "rtl/"  # every module, as expressions that any tool takes
CELLS = "rtl/ultrascale/"  # some of them once more, as cells of UltraScale+


def simulation_files(built: Iterable[str]) -> list[str]:
    """The paths in a build that a simulation takes, in alphabetical order.

    Parameters
    ----------
    built : all paths of the build
    """
    return sorted(
        path for path in built if path.startswith(WORDS) and path.count("/") == 1 and _is_code(path)
    )


def synthesis_files(built: Iterable[str]) -> list[str]:
    """The paths that a synthesis for UltraScale+ takes: cells where there are some, else words."""
    paths = set(built)
    cells = {path: CELLS + path.removeprefix(WORDS) for path in simulation_files(paths)}
    return [cells[path] if cells[path] in paths else path for path in cells]


def simulation_texts(built: Mapping[str, bytes]) -> dict[str, str]:
    """File name to text of what a simulation takes of the files ``built``, path to content.

    Raises
    ------
    DeviceError
        The build has no Verilog, or a file is no text.
    """
    return _texts(built, simulation_files(built))


def synthesis_texts(built: Mapping[str, bytes]) -> dict[str, str]:
    """File name to text of what a synthesis for UltraScale+ takes; raises as the one above."""
    return _texts(built, synthesis_files(built))


def _texts(built, paths):
    texts = {path.rpartition("/")[2]: _text(path, built[path]) for path in paths}
    if not texts:
        raise DeviceError(
            f"rtl: the build has no Verilog in {WORDS}, which simulation and synthesis need; "
            f"compile the model again"
        )
    return texts


def _is_code(path):
    return path.endswith((".v", ".sv"))


def _text(path, data):
    try:
        return data.decode()
    # Refused, as a replaced byte would no longer be what the board gets.
    except UnicodeDecodeError:
        raise DeviceError(
            f"rtl: {path} must be text in UTF-8, but is not; compile the model again"
        ) from None
