"""Every small change of a Python file that may be a fault: an operator, a number, a condition."""

import ast
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

COMPARED = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
# No division of reals: there is none in what computes integers.
COMPUTED = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
CALLED = {"min": "max", "max": "min", "any": "all", "all": "any"}
# What a text says and a type promises changes no result, and an error that is raised is one.
UNTOUCHED = (ast.JoinedStr, ast.Raise, ast.Assert, ast.Import, ast.ImportFrom)


@dataclass(frozen=True)
class PythonMutant:
    """A file with one change.

    Members
    -------
    path : of the file
    line : where the change is
    before, after : the expression, as ``ast.unparse`` writes it
    text : the whole file with the change
    """

    path: str
    line: int
    before: str
    after: str
    text: str

    @property
    def changed_line(self) -> str:
        """The line that has the change, as it reads with it."""
        return self.text.splitlines()[self.line - 1].strip()

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: '{self.before}' became '{self.after}'"


def draw(sources: Mapping[str, str], count: int, seed: int) -> list[PythonMutant]:
    """``count`` mutants, spread over the files: one of each in turn, at places drawn by ``seed``.

    Parameters
    ----------
    sources : path to text
    """
    numbers = random.Random(seed)
    # In a fixed order, as the folder's own differs between machines.
    rest = [list(mutants(path, text)) for path, text in sorted(sources.items())]
    for each in rest:
        numbers.shuffle(each)
    found: list[PythonMutant] = []
    while len(found) < count and any(rest):
        found += [each.pop() for each in rest if each]
    return found[:count]


def mutants(path: str, text: str) -> Iterator[PythonMutant]:
    """All mutants of a file, in the order of its places."""
    tree = ast.parse(text)
    sizes = _sizes_to_find(tree)
    for node in _code(tree):
        if id(node) in sizes:
            continue
        for changed in _changes(node):
            before, after = ast.unparse(node), ast.unparse(changed)
            lines = _replaced(text, node, f"({after})")
            yield PythonMutant(path, node.lineno, before, after, lines)


def _code(node) -> Iterator[ast.expr]:
    """Expressions that compute: no annotations, texts or errors."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "bases"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _promises(child):
                if isinstance(child, ast.expr):
                    yield child
                yield from _code(child)


def _sizes_to_find(tree):
    """The ones of each ``reshape(-1)``: NumPy takes any number below 0 for an axis to find."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    reshaped = (each for each in calls if getattr(each.func, "attr", None) == "reshape")
    return {
        id(given.operand)
        for call in reshaped
        for given in call.args
        if isinstance(given, ast.UnaryOp)
    }


def _promises(node):
    # That `zip` holds its operands to one length is an assertion, too.
    strict = isinstance(node, ast.keyword) and node.arg == "strict"
    return strict or isinstance(node, UNTOUCHED)


def _changes(node) -> Iterator[ast.expr]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARED:
        yield ast.Compare(node.left, [COMPARED[type(node.ops[0])]()], node.comparators)
    if isinstance(node, ast.BinOp) and type(node.op) in COMPUTED:
        yield ast.BinOp(node.left, COMPUTED[type(node.op)](), node.right)
    if isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.And() if isinstance(node.op, ast.Or) else ast.Or(), node.values)
    # A bool is an int, too, and a number becomes the next one.
    if isinstance(node, ast.Constant) and type(node.value) in (int, bool):
        yield ast.Constant(not node.value if type(node.value) is bool else node.value + 1)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node.operand
    if isinstance(node, ast.IfExp):
        yield ast.IfExp(node.test, node.orelse, node.body)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLED:
        yield ast.Call(ast.Name(CALLED[node.func.id]), node.args, node.keywords)


def _replaced(text, node, code):
    """``text`` with ``code`` in a node's place; columns count bytes of UTF-8."""
    lines = text.encode().splitlines(keepends=True)
    first, last = node.lineno - 1, node.end_lineno - 1
    start, end = lines[first][: node.col_offset], lines[last][node.end_col_offset :]
    lines[first : last + 1] = [start + code.encode() + end]
    return b"".join(lines).decode()
