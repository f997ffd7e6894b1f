import subprocess
import sys

import pytest

from qnn.cli import app

HEAVY = ("torch", "amaranth", "cocotb", "sklearn", "numpy", "rich")
VERBS = (
    "demo",
    "quantize",
    "evaluate",
    "train",
    "export",
    "check",
    "compile",
    "simulate",
    "verify",
    "show",
    "run",
    "serve",
    "synth",
    "doctor",
)


def loaded_after(code):
    """Which heavy packages a fresh Python has loaded after ``code``."""
    script = f"{code}\nimport sys\nprint(*[name for name in {HEAVY} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return run.stdout.splitlines()[-1].split()


def test_importing_qnn_loads_nothing_heavy():
    assert loaded_after("import qnn") == []


def test_help_loads_nothing_heavy():
    code = "from qnn.cli.app import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
    assert loaded_after(code) == []


@pytest.mark.parametrize("arguments", [["--help"], []], ids=["asked for", "without arguments"])
def test_help_names_every_verb(qnn, arguments):
    code, out, err = qnn(*arguments)
    assert (code, err) == (0, "")
    listed = [line.split()[0] for line in out.splitlines() if line.strip()]
    assert [verb for verb in VERBS if verb not in listed] == []


def test_a_group_of_commands_alone_shows_its_commands(qnn):
    code, out, err = qnn("bench")
    assert (code, err) == (0, "")
    assert out == qnn("bench", "--help")[1]


@pytest.mark.parametrize("verb", [[], *([verb] for verb in VERBS), ["bench", "network"]])
def test_every_help_page_has_the_exit_codes(qnn, verb):
    code, out, _ = qnn(*verb, "--help")
    assert code == 0
    assert " ".join(app.SUMMARY.split()) in " ".join(out.split())


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["paint"], "error: qnn: No such command 'paint'. Did you mean 'train'?\n"),
        (["bench", "paint"], "error: qnn bench: No such command 'paint'.\n"),
        (["verify"], "error: qnn verify: Missing argument 'BUILD...'.\n"),
        (["doctor", "--loud"], "error: qnn doctor: No such option: --loud\n"),
        (["synth", "build", "-o"], "error: qnn synth: Option '-o' requires an argument.\n"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(qnn, arguments, text):
    assert qnn(*arguments) == (2, "", text)
