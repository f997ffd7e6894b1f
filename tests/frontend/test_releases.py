"""What releases of PyTorch write differently is read alike."""

import pytest

from qnn.frontend.releases import plain_path


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        ("", ""),
        ("stem.0", "stem.0"),
        ("L['self']", ""),
        ("L['self'].stem", "stem"),
        ("getattr(L['fn'], '1')", "1"),
        ("getattr(L['self'].stem, '0').conv", "stem.0.conv"),
        ("getattr(getattr(L['self'], '1').a, '2')", "1.a.2"),
    ],
)
def test_paths_of_layers_are_those_of_the_module(path, plain):
    assert plain_path(path) == plain
