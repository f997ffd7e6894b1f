"""A user's network, by the module and the factory that make it."""

import importlib
import inspect
from collections.abc import Collection

from torch import nn
from torch.export import ExportedProgram

from qnn.errors import ModelError


def from_factory(name: str, others: Collection[str]) -> nn.Module:
    """What the callable in ``name``, ``module:factory``, gives; or the module that it names.

    Parameters
    ----------
    others : names that could have been given instead, for the refusal

    Raises
    ------
    ModelError
        There is no such callable, it fails, or it gives no ``nn.Module``.
    """
    module, colon, factory = name.partition(":")
    if not colon or not module or not factory:
        raise ModelError(
            f"model needs to be one of {', '.join(others)} or module:factory, not '{name}'; "
            f"name a module that Python can import and a callable in it"
        )
    try:
        found = getattr(importlib.import_module(module), factory)
    except SystemExit as error:
        raise _leaving(name, error) from error
    except Exception as error:  # any: it is the user's code
        raise ModelError(
            f"model '{name}' cannot be imported: {error}; check the name and PYTHONPATH"
        ) from error
    try:
        model = found if isinstance(found, nn.Module | ExportedProgram) else found()
    except SystemExit as error:
        raise _leaving(name, error) from error
    except Exception as error:  # any: it is the user's code
        raise ModelError(
            f"model '{name}' cannot be built: {type(error).__name__}: {error}; it is called "
            f"without arguments"
        ) from error
    # What torch.export gave holds a module too.
    model = model.module() if isinstance(model, ExportedProgram) else model
    if not isinstance(model, nn.Module):
        kind = "a class" if inspect.isclass(model) else type(model).__name__
        raise ModelError(
            f"model '{name}' needs to give an nn.Module, not {kind}; return the network"
        )
    return model


def _leaving(name, error):
    # A script that parses its own arguments, or trains, when it is imported.
    return ModelError(
        f"model '{name}' ends the program when it is imported or built (SystemExit: {error}); "
        f"guard what its module runs with if __name__ == '__main__'"
    )
