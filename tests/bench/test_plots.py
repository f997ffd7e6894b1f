import pytest

from qnn.bench import pictures, plots
from qnn.errors import ToolError
from tests.bench.results_for_tests import result


@pytest.fixture
def shown():
    """A few results, as a whole run of the benchmark has them."""
    return [
        result("nearest", method="nearest", steps=0, test_accuracy=75.0),
        result("nearest2", method="nearest", steps=0, weight_bits=2, test_accuracy=10.8),
        result("discquant"),
        result("discquant2", terms=2),
        result("language", model="stories", test_accuracy=None, test_perplexity=4.0),
    ]


def test_without_matplotlib_the_refusal_says_what_to_install(monkeypatch, tmp_path, shown):
    monkeypatch.setattr(pictures, "find_spec", lambda _: None)
    with pytest.raises(ToolError) as caught:
        plots.write_plots(shown, tmp_path)
    assert str(caught.value) == (
        "bench accuracy needs matplotlib for --plots, but it is missing; run pip install "
        "'qnn[bench]'"
    )


def test_every_picture_is_written_whole(tmp_path, shown):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    paths = plots.write_plots(shown, tmp_path / "plots")
    assert [path.name for path in paths] == [
        "accuracy-resnet20.png",
        "codes-discquant.png",
        "codes-discquant2.png",
        "alpha.png",
    ]
    assert sorted((tmp_path / "plots").iterdir()) == sorted(paths)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_results_at_other_activations_alone_are_no_picture_of_accuracy(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    paths = plots.write_plots([result("narrow", activation_bits=4)], tmp_path)
    assert [path.name for path in paths] == ["codes-narrow.png", "alpha.png"]


def test_a_point_far_below_float_is_named_and_not_drawn(shown):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    axes = plots.accuracy_picture(shown, "resnet20").axes[0]
    assert axes.get_ylim()[0] == pytest.approx(91.73 - plots.SHOWN)
    assert [text.get_text() for text in axes.texts] == ["below:\nnearest 10.8 % at 2 bits"]


def test_alpha_is_drawn_from_one_half_to_one():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    for line in plots.alpha_picture().axes[0].lines:
        alpha = line.get_ydata()
        assert 0.5 <= alpha[0] < 0.52
        assert alpha[-1] == pytest.approx(1)
        assert (alpha[1:] >= alpha[:-1]).all()
