from tests.counts.names import MOST, shared_names
from tests.counts.sources import sources


def test_few_class_names_stand_in_two_files():
    found = shared_names(sources())
    lines = [f"{name}: {', '.join(paths)}" for name, paths in sorted(found.items())]
    assert len(found) <= MOST, "\n".join(lines)


def test_a_planted_name_is_found():
    files = {
        "qnn/ir/graph.py": "class Graph:\n    class Inner: ...\n",
        "qnn/report/graph.py": "if True:\n    pass\n\nclass Graph(list): ...\nclass Inner: ...\n",
        "hw/other.py": "Graph = 1\n",
    }
    assert shared_names(files) == {"Graph": ["qnn/ir/graph.py", "qnn/report/graph.py"]}
