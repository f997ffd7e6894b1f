"""How a program's results are nested in what its model gave: tuples, lists and dictionaries."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

SEQUENCES = {"builtins.tuple": tuple, "builtins.list": list}
DICTIONARIES = ("builtins.dict", "collections.OrderedDict")
NAMED_TUPLE = "collections.namedtuple"
MOST_DEEP = 64


def nested(program: Mapping[str, Any], results: Sequence[Any]) -> Any:
    """``results`` as the model gave them; side by side where it gave an object of a class."""
    flat = results[0] if len(results) == 1 else tuple(results)
    try:
        fields = program.get("treespec_namedtuple_fields") or {}
        calls = program["module_call_graph"]
        (spec,) = [each["signature"]["out_spec"] for each in calls if each["fqn"] == ""]
        version, tree = json.loads(spec)
        rest = list(results)
        found = _built(tree, rest, fields, MOST_DEEP)
    except (IndexError, KeyError, TypeError, ValueError, RecursionError):
        return flat
    return found if version == 1 and not rest else flat


def _built(tree, rest, fields, deep):
    if not deep:
        raise ValueError("results in more lists than anyone nests")
    kind, children = tree["type"], tree["children_spec"]
    if kind is None:
        return rest.pop(0)
    if kind == "builtins.NoneType":
        return None
    inside = [_built(each, rest, fields, deep - 1) for each in children]
    if kind in SEQUENCES:
        return SEQUENCES[kind](inside)
    if kind in DICTIONARIES:
        return dict(zip(json.loads(tree["context"]), inside, strict=True))
    if kind != NAMED_TUPLE:
        raise ValueError("results in an object of a class")
    # Its fields are what results are called; torch 2.6 leaves them out.
    names = fields.get(tree["context"], {}).get("field_names")
    return tuple(inside) if names is None else dict(zip(names, inside, strict=True))
