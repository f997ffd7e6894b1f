"""A list of networks is read whole or refused by the line."""

import pytest

from qnn.bench.zoo.listed import FORM, ListedNetwork, read_list
from qnn.errors import ModelError


def listed(tmp_path, text):
    path = tmp_path / "list.txt"
    path.write_text(text)
    return read_list(path)


def test_families_inputs_and_comments(tmp_path):
    text = "# networks\nresnet tv:resnet18 3,224,224\n\nmine:net 1,28,28;16  # two inputs\n"
    assert listed(tmp_path, text) == [
        ListedNetwork("resnet", "tv", "resnet18", ((3, 224, 224),)),
        ListedNetwork("mine", "mine", "net", ((1, 28, 28), (16,))),
    ]


@pytest.mark.parametrize(
    "line",
    ["mine:net", "mine 3,32,32", "a b mine:net 3,32", "mine:net 3,,32", "mine:net 0,4", ":net 3"],
)
def test_a_line_of_another_form_is_named(tmp_path, line):
    with pytest.raises(ModelError) as error:
        listed(tmp_path, f"a:b 3\n{line}\n")
    path = tmp_path / "list.txt"
    assert str(error.value) == f"{path}: line 2 needs {FORM}, not '{line}'; mend it"


def test_two_networks_of_one_name_are_refused(tmp_path):
    with pytest.raises(ModelError) as error:
        listed(tmp_path, "a:b 3\nfamily a:b 4\n")
    path = tmp_path / "list.txt"
    assert str(error.value) == f"{path}: line 2 has 'a:b' a second time; remove one of both"


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_list_is_refused(tmp_path, text):
    with pytest.raises(ModelError, match="needs a network a line, but has none"):
        listed(tmp_path, text)
