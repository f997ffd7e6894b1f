"""Which float models are built because a file names them, without the user's asking."""

import importlib.util
from pathlib import Path


def runs_unasked(name: str) -> bool:
    """Whether a float model may be built because a model's file names it.

    A file may come from elsewhere: what it names is run where it is of the zoo, or a factory in a
    module of the current folder, which it names without arguments. All else is the user's to ask
    for: also what a module holds of another one, as ``own_net:os.abort`` does.
    """
    module, colon, factory = name.partition(":")
    return not colon or (factory.isidentifier() and _is_own(module.partition(".")[0]))


def _is_own(module: str) -> bool:
    """Whether a module or package lies in the current folder itself; its code is not run."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):  # no name of a module, or one whose own loader fails
        return False
    if spec is None:
        return False
    # What is built into Python, as sys is, has a word in place of a path.
    of_file = [spec.origin] if spec.has_location and spec.origin else []
    # A package is its folder, also one without an __init__.py, which may lie in several places.
    places = [*(spec.submodule_search_locations or of_file)]
    return bool(places) and all(Path(place).resolve().parent == Path.cwd() for place in places)
