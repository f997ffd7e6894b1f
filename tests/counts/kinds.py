"""An operator answers for itself: little code outside its own file may ask which kind it is."""

import ast

MOST = 40  # questions
OPERATORS = ("qnn/ir/ops/", "qnn/frontend/ops/")  # where an operator is at home
HOMES = (
    *OPERATORS,
    "qnn/frontend/",
    "qnn/nn/plan.py",
    "qnn/nn/layer_plans.py",
    "qnn/nn/layers.py",
    "qnn/nn/input_layer.py",
)


def node_kinds(files: dict[str, str]) -> set[str]:
    """The classes of nodes: in the integer graph, in the float graph, in the plan, as layers."""
    return {
        statement.name
        for path, text in files.items()
        if path.startswith(HOMES)
        for statement in ast.parse(text).body
        if isinstance(statement, ast.ClassDef)
    }


def outside(files: dict[str, str]) -> dict[str, str]:
    """The files in which no operator is at home."""
    return {path: text for path, text in files.items() if not path.startswith(OPERATORS)}


def questions(files: dict[str, str], kinds: set[str]) -> list[str]:
    """The place of each ``isinstance`` and ``case`` that names one of ``kinds``."""
    found = []
    for path, text in files.items():
        for node in ast.walk(ast.parse(text)):
            asked = _asked(node)
            names = [part for part in ast.walk(asked) if isinstance(part, ast.Name)]
            attributes = [part for part in ast.walk(asked) if isinstance(part, ast.Attribute)]
            if kinds & {*(name.id for name in names), *(each.attr for each in attributes)}:
                found.append(f"{path}:{asked.lineno}")
    return sorted(found)


def _asked(node: ast.AST) -> ast.AST:
    """The classes that ``node`` asks for; an empty tuple where it asks for none."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "isinstance":
        return node.args[1]
    return node.cls if isinstance(node, ast.MatchClass) else ast.Tuple([])
