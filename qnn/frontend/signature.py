"""What an exported program gives its user, and what it does beside that."""

import re
import warnings
from typing import Any

from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.export.graph_signature import OutputKind
from torch.utils import _pytree

from qnn.errors import QnnWarning
from qnn.frontend.faults import Fault, Site, listed
from qnn.host.named import Structure


def results(program: ExportedProgram) -> list:
    """The nodes and constants that the user gets, in order; None is no result."""
    return [item for item in _leaves(program) if item is not None]


def structure(program: ExportedProgram) -> Structure:
    """How ``results`` are nested in the user's model, by their numbers.

    A number where there is one result, and a list of numbers where they are nested in nothing but
    one tuple or list. Dictionaries, named tuples and classes have keys of words alone.
    """
    leaves = _leaves(program)
    numbers = iter(range(len(leaves)))
    given = [None if leaf is None else next(numbers) for leaf in leaves]
    try:
        tree = _pytree.tree_unflatten(list(range(len(leaves))), program.call_spec.out_spec)
        pairs = [(path, given[n]) for path, n in _pytree.tree_flatten_with_path(tree)[0]]
        found = _nested(pairs)
    except Exception:  # any: the user's own classes build themselves as they like
        found = given
    is_flat = not isinstance(found, dict | list) or all(
        not isinstance(each, dict | list) for each in found
    )
    if isinstance(found, dict) or not is_flat:
        return found
    # Where nothing has a name, nothing stands for what was left out.
    plain = [number for number in given if number is not None]
    return plain if len(plain) != 1 else plain[0]


def _nested(pairs):
    if len(pairs) == 1 and not pairs[0][0]:
        return pairs[0][1]
    groups: dict[Any, list] = {}
    for (key, *path), leaf in pairs:
        groups.setdefault(key, []).append((path, leaf))
    found = {key: _nested(group) for key, group in groups.items()}
    if all(isinstance(key, _pytree.SequenceKey) for key in found):
        return list(found.values())
    named = {_word(key): each for key, each in found.items()}
    # Two keys that differ in a space alone would be one name.
    if len(named) < len(found):
        raise ValueError("keys that are no names")
    return named


def _word(key):
    # A key of a dictionary, or a field of a class.
    text = re.sub(r"[^\w.-]", "_", str(getattr(key, "key", getattr(key, "name", key)))) or "_"
    return f"output_{text}" if text.isdecimal() else text


def _leaves(program):
    found = program.graph.output_node().args[0]
    found = found if isinstance(found, tuple | list) else (found,)
    # What a run would write back to buffers and inputs is no result of it.
    pairs = zip(found, program.graph_signature.output_specs, strict=True)
    return [item for item, spec in pairs if spec.kind is OutputKind.USER_OUTPUT]


def given_to(program: ExportedProgram) -> list[Tensor]:
    """What the user gives, in order, as the program was exported with it; tensors alone."""
    names = program.graph_signature.user_inputs
    held = [node.meta.get("val") for node in _placeholders(program) if node.name in names]
    return [each for each in held if isinstance(each, Tensor)]


def live_nodes(program: ExportedProgram) -> set[fx.Node]:
    """The nodes that a result is computed from, and the results."""
    live: set[fx.Node] = set()
    open_ = [item for item in results(program) if isinstance(item, fx.Node)]
    while open_:
        node = open_.pop()
        if node not in live:
            live.add(node)
            open_ += node.all_input_nodes
    return live


def states(program: ExportedProgram, live: set[fx.Node]) -> dict[fx.Node, Fault]:
    """What each run changes and a result depends on, such as a state: buffers, and their faults."""
    signature = program.graph_signature
    # A counter that nothing reads back is no state, and does not matter.
    changed = set(signature.buffers_to_mutate.values())
    # Older releases of PyTorch know no change of a parameter.
    changed |= set(getattr(signature, "parameters_to_mutate", {}).values())
    held = {**signature.inputs_to_buffers, **signature.inputs_to_parameters}
    found = {}
    for node in _placeholders(program, live):
        name = held.get(node.name)
        # A normalisation by its batch has a fault of its own, which says more.
        normalises = all("batch_norm" in str(user.target) for user in node.users if user in live)
        if name in changed and not normalises:
            problem = (
                f"output needs to depend on the input alone, but '{name}' is changed by "
                f"each run and read by the next"
            )
            cure = "take it as an input and return it"
            found[node] = Fault(Site("", ""), problem, cure)
    return found


def warn_of_unread(program: ExportedProgram, live: set[fx.Node]) -> None:
    """Tell of inputs and weights that no result reads: often a mistake in forward."""
    signature, layers = program.graph_signature, {}
    names = [signature.inputs_to_parameters.get(node.name) for node in _placeholders(program, live)]
    # A layer that is shared has a name, and here a placeholder, at each of its places.
    read = {id(program.state_dict[name]) for name in names if name is not None}
    for node in _placeholders(program):
        if node in live:
            continue
        if node.name in signature.user_inputs:
            _warn(
                f"model input '{node.name}' is read by no output; it stays an input, which "
                f"changes nothing"
            )
        name = signature.inputs_to_parameters.get(node.name)
        if name is not None and id(program.state_dict[name]) not in read:
            layers[name.rpartition(".")[0] or name] = None
    if layers:
        names = listed(f"'{layer}'" for layer in layers)
        _warn(f"weights of {names} are read by no output; they are left out")


def _placeholders(program, among=None):
    found = program.graph.find_nodes(op="placeholder")
    return [node for node in found if among is None or node in among]


def _warn(text):
    warnings.warn(text, QnnWarning, stacklevel=2)
