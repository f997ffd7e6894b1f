"""A user's network, by the module and the factory that make it."""

import ast
import importlib
import inspect
from collections.abc import Collection

from torch import nn
from torch.export import ExportedProgram

from qnn.errors import ModelError
from qnn.nn.names import import_advice


def from_factory(name: str, others: Collection[str]) -> nn.Module:
    """What the callable in ``name``, ``module:factory``, gives; or the module that it names.

    Arguments may follow, ``timm:create_model('resnet18', num_classes=10)``: numbers, texts and the
    like as Python writes them, and nothing that is computed.

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
    if module.endswith(".py"):
        module = module.removesuffix(".py").replace("/", ".").lstrip(".")
        raise ModelError(
            f"model '{name}' needs the name of a module, not its file; write '{module}:{factory}'"
        )
    factory, arguments, named = _call(name, factory)
    try:
        found = getattr(importlib.import_module(module), factory)
    except SystemExit as error:
        raise _leaving(name, error) from error
    except Exception as error:  # any: it is the user's code
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        raise ModelError(
            f"model '{name}' cannot be imported: {error}; {import_advice(missing)}"
        ) from error
    try:
        is_model = isinstance(found, nn.Module | ExportedProgram)
        model = found if is_model else found(*arguments, **named)
    except SystemExit as error:
        raise _leaving(name, error) from error
    except Exception as error:  # any: it is the user's code
        raise ModelError(
            f"model '{name}' cannot be built: {type(error).__name__}: {error}; its "
            f"arguments stand behind its name, as in module:factory(10, wide=True)"
        ) from error
    if is_model and (arguments or named):
        raise ModelError(f"model '{name}' is a network already; leave its arguments out")
    # What torch.export gave holds a module too.
    model = model.module() if isinstance(model, ExportedProgram) else model
    if not isinstance(model, nn.Module):
        kind = "a class" if inspect.isclass(model) else type(model).__name__
        raise ModelError(
            f"model '{name}' needs to give an nn.Module, not {kind}; return the network"
        )
    return model


def _call(name, factory):
    """The callable's name, and the arguments that are written behind it."""
    if "(" not in factory:
        return factory, (), {}
    try:
        call = ast.parse(factory.strip(), mode="eval").body
        arguments = [ast.literal_eval(value) for value in call.args]
        named = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
        # None stands for a dictionary behind two stars.
        if None not in named:
            return call.func.id, arguments, named
    # What is no call of a name has no such attributes; and users write deep nests and null bytes.
    except (AttributeError, ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        pass
    raise ModelError(
        f"model '{name}' needs plain values as arguments, as in module:factory(10, wide=True)"
    )


def _leaving(name, error):
    # A script that parses its own arguments, or trains, when it is imported.
    return ModelError(
        f"model '{name}' ends the program when it is imported or built (SystemExit: {error}); "
        f"guard what its module runs with if __name__ == '__main__'"
    )
