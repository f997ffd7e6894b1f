import json

import pytest

from qnn.bench import network
from qnn.bench.runs import QUICK, RUNS

KEYS = {
    "name",
    "model",
    "method",
    "weight_bits",
    "activation_bits",
    "terms",
    "seed",
    "steps",
    "seconds",
    "float_accuracy",
    "test_accuracy",
    "test_images",
    "threads",
    "torch_version",
    "machine",
    "commit",
}


def test_the_runs_are_listed(qnn):
    assert qnn("bench", "accuracy", "--list") == (
        0,
        "".join(f"{run.name}\n" for run in RUNS),
        "",
    )
    code, out, _ = qnn("bench", "accuracy", "--list", "--only", "gptq-w[34]a8-*20", "--json")
    assert code == 0
    assert [run["name"] for run in json.loads(out)] == ["gptq-w4a8-resnet20", "gptq-w3a8-resnet20"]


def test_the_quick_runs_are_measured_kept_and_told(qnn, tmp_path):
    out = tmp_path / "results.jsonl"
    code, text, err = qnn("bench", "accuracy", "--quick", "--json", "--out", out)
    assert code == 0
    found = json.loads(text)
    assert [result["name"] for result in found] == [run.name for run in QUICK]
    assert all(result.keys() >= KEYS for result in found)
    assert all(result["test_images"] == 360 for result in found)
    accuracies = {result["name"]: result["test_accuracy"] for result in found}
    nearest = accuracies["nearest-w2a8-digits_cnn"]
    assert accuracies["discquant-w2a8-digits_cnn"] > nearest + 50
    learnt = [name for name in accuracies if name.startswith("discquant") or "epochs" in name]
    assert len(learnt) == 3
    assert all(accuracies[name] > nearest + 30 for name in learnt)
    assert accuracies["nearest-w3a8-digits_cnn"] > 85
    assert len(err.splitlines()) == len(QUICK)
    _is_known(qnn, out, found)
    _is_a_table(qnn, out)


def _is_known(qnn, out, found):
    code, text, err = qnn("bench", "accuracy", "--quick", "--json", "--out", out)
    assert (code, json.loads(text)) == (0, found)
    assert all(line.endswith(", known") for line in err.splitlines())


def _is_a_table(qnn, out):
    code, text, _ = qnn("bench", "accuracy", "--quick", "--markdown", "--out", out)
    assert code == 0
    assert text.startswith("**Digits**\n\n| method | model | weights | activations | result |")
    assert text.count("digits_cnn") == len(QUICK)
    code, text, _ = qnn("bench", "accuracy", "--quick", "--out", out)
    assert code == 0
    assert text.splitlines()[0].strip() == "Digits"


def test_runs_that_need_data_are_refused_without_it(qnn, tmp_path):
    out = tmp_path / "results.jsonl"
    arguments = ("bench", "accuracy", "--only", "nearest-w3a8-resnet20", "--out", out)
    assert qnn(*arguments) == (
        3,
        "",
        "error: bench accuracy needs --data with the folder of data and weights for resnet20, but "
        "got none; give it, or use --quick\n",
    )
    assert qnn(*arguments, "--data", tmp_path) == (
        3,
        "",
        f"error: data folder {tmp_path} needs the file resnet20_cifar10.pt, but has none; name "
        f"the folder that has it with --data\n",
    )
    assert not out.exists()


def test_a_name_that_is_no_run_is_refused(qnn):
    assert qnn("bench", "accuracy", "--only", "resnet9000") == (
        3,
        "",
        "error: bench accuracy needs the name of a run or a pattern, but none matches "
        "'resnet9000'; --list shows them\n",
    )


@pytest.fixture
def costs(monkeypatch):
    """Costs as a machine without Brevitas measures them, at once."""
    from qnn.bench import cost, rival

    def child(kind, *rest):
        names = rest[1:] if kind == "time" else rest
        return dict.fromkeys(names, 10.0 if kind == "time" else 100.0)

    monkeypatch.setattr(cost, "_child", child)
    monkeypatch.setattr(rival, "missing", lambda: "brevitas is not installed")


def test_the_cost_of_training_is_a_table_or_json(qnn, costs):
    code, out, _ = qnn("bench", "training")
    assert code == 0
    assert "brevitas is not installed" in out
    assert out.splitlines()[-2:] == [
        "quantized over float, fp32, each at its faster memory format: time 1.00, memory 1.00",
        "quantized over float, bf16, each at its faster memory format: time 1.00, memory 1.00",
    ]
    code, out, _ = qnn("bench", "training", "--json", "--steps", 3)
    found = json.loads(out)
    assert (code, found["steps"], found["time_to_float"]["fp32"]) == (0, 3, 1.0)
    assert found["machine"]["cores"] >= 1


NETWORK_KEYS = {
    "cycles_per_image",
    "utilisation",
    "frames_per_second",
    "clock",
    "simulator",
    "cold_latency_cycles",
    "layers",
}


def test_a_network_costs_cycles(qnn, checkpoint, monkeypatch):
    monkeypatch.setitem(network.PUBLISHED, "digits_cnn", network.PUBLISHED["resnet20"])
    options = ("--config", "small", "--cores", "2", "--batch", "2")
    command = ("bench", "network", "digits_cnn", "--checkpoint", checkpoint, "--data", "digits")
    code, text, _ = qnn(*command, *options, "--json")
    assert code == 0
    found = json.loads(text)
    assert found.keys() >= NETWORK_KEYS
    assert (found["simulator"], found["cores"], found["images"]) == ("functional", 2, 4)
    assert 0 < found["utilisation"] < 1
    assert found["cycles_per_image"] == found["cycles"] / 4
    assert found["layers"][0]["name"] == "stem.0"

    code, text, _ = qnn(*command, *options)
    assert code == 0
    assert text.startswith("cycles of digits_cnn an image, 8x8x4 (lanes x rows x columns)")
    rate = f"{found['frames_per_second']:,.0f} frames a second"
    assert f"utilisation {found['utilisation']:.3f}: {rate}" in text
    clock = found["clock"]
    assert f"clock: {clock['low_mhz']:.0f} MHz, the low end of {clock['low_mhz']:.0f} to " in text
    assert f"one image alone: {found['cold_latency_cycles']:,} cycles" in text
    assert "published: NN2FPGA on XCK26 7,601 frames a second (arXiv 2309.15631)" in text


def test_a_network_that_does_not_fit_is_refused(qnn):
    command = ("bench", "network", "digits_cnn", "--set", "weight_words=16")
    code, out, err = qnn(*command)
    assert (code, out) == (3, "")
    assert err.startswith("error: conv 'last.0' needs 18 weight words ")


@pytest.mark.rtl
def test_a_network_costs_cycles_in_rtl(qnn):
    command = ("bench", "network", "digits_cnn", "--config", "test", "--batch", "2", "--json")
    code, text, _ = qnn(*command, "--device", "rtl")
    assert code == 0
    found = json.loads(text)
    assert found["simulator"] == "rtl"
    assert found["cycles"] == found["model_cycles"]


def test_operators_are_measured_beside_what_they_need(qnn):
    chosen = ("--pixels", "14", "--only", "channels with steps", "--only", "product", "--json")
    code, out, _ = qnn("bench", "operators", *chosen)
    assert code == 0
    product, channels = json.loads(out)["operators"]
    assert (product["name"], product["bound"]) == ("product", 4 * 28 * 8)
    assert 0.99 < product["ratio"] < 1.1
    assert (channels["cycles"], channels["ratio"]) == (0, None)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (("--pixels", "15"), "needs an even number, as maps are halved, not 15"),
        (("--only", "tabel"), "must be one of table, square, "),
    ],
)
def test_operators_that_there_are_not_and_odd_maps_are_refused(qnn, given, text):
    code, _, error = qnn("bench", "operators", *given)
    assert code == 2
    assert text in error
