from tests.counts.kinds import MOST, node_kinds, outside, questions
from tests.counts.sources import sources


def test_few_ask_which_kind_a_node_is():
    files = sources()
    found = questions(outside(files), node_kinds(files))
    assert len(found) <= MOST, "\n".join(found)


def test_the_kinds_are_those_of_all_forms_of_a_network():
    kinds = node_kinds(sources())
    assert {"Conv", "MaxPool", "Concat", "Input", "ConvPlan", "QuantConv", "BatchNorm"} <= kinds


def test_planted_questions_are_found():
    planted = """
def f(node):
    if isinstance(node, Conv | MaxPool) and not isinstance(node, int):
        return isinstance(node, (ops.Conv, str))
    match node:
        case Conv(name=name):
            return name
        case str():
            return node
"""
    assert questions({"qnn/report/new.py": planted}, {"Conv"}) == [
        "qnn/report/new.py:3",
        "qnn/report/new.py:4",
        "qnn/report/new.py:6",
    ]
