"""Every bad argument of every command is refused before work begins, and before torch is there.

One process tries all of them: it cannot import torch, and reads no data.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import boards

PROGRAM = """
import contextlib, io, json, sys, time
from importlib.abc import MetaPathFinder

class Blocked(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "sklearn", "PIL"):
            raise AssertionError(f"{name} is imported before the arguments are checked")

sys.meta_path.insert(0, Blocked())
from qnn.cli.app import main

for arguments in json.load(sys.stdin):
    err, out, started = io.StringIO(), io.StringIO(), time.process_time()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(out):
        try:
            main(arguments)
        except SystemExit as left:
            code = left.code
    seconds = time.process_time() - started
    print(json.dumps([code, out.getvalue(), err.getvalue(), seconds]))
"""

# What is wrong with a path, and the exit code: where nothing can be written, or read.
OUTPUTS = [
    (
        "none/{name}",
        3,
        "none/{name}: nothing can be written in none ('No such file or directory');",
    ),
    (
        "file.txt/{name}",
        3,
        "file.txt/{name}: nothing can be written in file.txt ('Not a directory')",
    ),
    ("folder{suffix}", 3, "folder{suffix}: a file is to be written, but this is a folder; name a"),
    ("/proc/{name}", 3, "/proc/{name}: nothing can be written in /proc ('"),
]
SUFFIX = ("out.pdf", 2, "needs a name that ends in {suffix}, not 'out.pdf'")
INPUTS = [
    ("none.pt", 3, "none.pt: cannot be read ('No such file or directory')"),
    ("folder.npz", 3, "folder.npz: cannot be read ('Is a directory')"),
    ("pipe", 3, "pipe: cannot be read ('Not a regular file')"),
]
DATA = [
    ("mnist", 3, "data mnist: cannot be read ('No such file or directory'); give 'digits', an"),
    ("none.npz", 3, "data none.npz: cannot be read ('No such file or directory'); give"),
    ("file.txt", 2, "needs 'digits', an .npz file or a folder, not 'file.txt'"),
]
MODELS = [
    ("resnet9000", 3, "model needs to be one of resnet8, resnet20, "),
    (
        "none_such:build",
        3,
        "model 'none_such:build' cannot be imported: No module named 'none_such'",
    ),
    (":build", 3, "model needs to be one of "),
    ("..:build", 3, "model '..:build' cannot be imported: "),
]
FACTORY = ("quantize", "factory:build")
BLIND = (*FACTORY, "--rounding", "nearest", "--terms", "1")
WHOLE = "--keep needs a whole core without its unused pins"
NUMBER = "Input should be "


def outputs(*command, suffix="", option="-o"):
    """Cases of a file to write; ``suffix`` where it must have one."""
    cases = [*OUTPUTS, SUFFIX] if suffix else OUTPUTS
    parts = {"name": f"out{suffix}", "suffix": suffix}
    for path, code, text in cases:
        yield [*command, option, path.format(**parts)], code, text.format(**parts)


def inputs(*command, option):
    yield from (([*command, option, path], code, text) for path, code, text in INPUTS)


def data(*command):
    yield from (([*command, "--data", name], code, text) for name, code, text in DATA)


BOARD = boards.reference().name
ONE_OF_BOARDS = f"must be one of {', '.join(boards.names())}, not"
CASES = [
    *outputs(*FACTORY, suffix=".safetensors"),
    *outputs(*FACTORY, "--rounding", "gptq", option="--resume"),
    *inputs(*FACTORY, option="--checkpoint"),
    *data(*FACTORY),
    *((["quantize", name], code, text) for name, code, text in MODELS),
    *((["bench", "network", name], code, text) for name, code, text in MODELS),
    *((["train", name], code, text) for name, code, text in MODELS),
    (["train", "factory:build", "--mean", "0"], 2, "--mean and --std belong together; give both"),
    ([*FACTORY, "--samples", "0"], 2, f"'--samples': {NUMBER}greater than or equal to 1, not '0'"),
    ([*FACTORY, "--samples", "x"], 2, f"'--samples': {NUMBER}a valid integer"),
    ([*FACTORY, "--target", "0"], 2, "needs a number above 0, not 0"),
    ([*FACTORY, "--target", "101"], 2, "--target needs at most 100, not 101"),
    ([*FACTORY, "--target", "nan"], 2, "needs a number above 0, not nan"),
    ([*FACTORY, "--seconds", "0"], 2, "needs a number above 0, not 0"),
    ([*BLIND, "--target", "1"], 2, "--target is of --terms auto or --rounding"),
    ([*BLIND, "--seconds", "9"], 2, "not of terms that are given with --rounding"),
    ([*FACTORY, "--config", "test", "--terms-budget", "2"], 2, "--config is of --terms auto, not"),
    ([*FACTORY, "--config", "huge"], 2, "must be one of test, small, reference"),
    ([*FACTORY, "--terms", "autos"], 2, "'--terms': needs a number from 1 to 7, or LAYER="),
    ([*FACTORY, "--set", "steps=3"], 2, "--set is of a rounding with options, not of auto"),
    ([*FACTORY, "--rounding", "auto", "--bias-correction"], 2, "--bias-correction is part of"),
    ([*FACTORY, "--no-bias-correction"], 2, "--bias-correction is part of --rounding auto; leave"),
    (
        [*FACTORY, "--rounding", "nearest", "--bias-correction"],
        2,
        "--terms auto chooses without --bias-correction where --rounding is nearest; leave it out",
    ),
    ([*FACTORY, "--rounding", "auto", "--rounding-samples", "9"], 2, "--rounding-samples is of a"),
    ([*FACTORY, "--weight-bits", "9"], 2, "'--weight-bits': needs a number from 2 to 5, or LAYER="),
    ([*FACTORY, "--weight-bits", "a=,b=3"], 2, "'--weight-bits': needs a number from 2 to 5, or"),
    ([*FACTORY, "--terms", "0"], 2, "'--terms': needs a number from 1 to 7, or LAYER=NUMBER with"),
    ([*FACTORY, "--terms", "2", "--terms-budget", "2"], 2, "--terms-budget replaces --terms;"),
    ([*FACTORY, "--terms-budget", "nan"], 2, "'--terms-budget'"),
    ([*FACTORY, "--activation-bits", "17"], 2, "needs a number from 2 to 16, or auto, not '17'"),
    ([*FACTORY, "--activation-bits", "few"], 2, "needs a number from 2 to 16, or auto, not 'few'"),
    ([*FACTORY, "--mean", "dark"], 2, "'--mean': needs numbers with commas, not 'dark'"),
    ([*FACTORY, "--mean", "0"], 2, "--mean and --std belong together; give both"),
    ([*FACTORY, "--std", "1,,1"], 2, "'--std': needs numbers with commas, not '1,,1'"),
    ([*FACTORY, "--rounding", "up"], 2, "of auto, nearest, discquant, adaround, gptq, latent, not"),
    ([*BLIND, "--resume", "r"], 2, "--resume is of a rounding that learns; choose"),
    ([*BLIND, "--augment"], 2, "--augment is of a rounding that learns; choose --rounding"),
    (["quantize", "resnet20"], 2, "'resnet20' comes without weights; give them with --checkpoint"),
    ([*FACTORY, "--layout", "hwcn"], 2, "must be one of nhwc, nchw, not 'hwcn'"),
    (
        [*FACTORY, "--task", "magic"],
        2,
        "'--task': must be one of classes, binary",
    ),
    (["check", "none_such:f"], 3, "model 'none_such:f' cannot be imported: No module named 'none"),
    (["check", "none.qgraph"], 3, "none.qgraph: cannot be read ('No such file or directory')"),
    (
        ["check", "factory:build", "--input-shape", "3,x"],
        2,
        "--input-shape needs sizes with commas",
    ),
    *inputs("check", "factory:build", option="--checkpoint"),
    (["check", "none.onnx"], 3, "none.onnx: cannot be read ('No such file or directory'); export"),
    (["quantize", "none.onnx"], 3, "none.onnx: cannot be read ('No such file or directory')"),
    ([*FACTORY, "--input-shape", "3,4"], 2, "--input-shape is of an .onnx file, whose data have"),
    (
        ["quantize", "resnet20", "--checkpoint", "none", "--requantize"],
        2,
        "--requantize is of an .onnx file of QONNX or a network of Brevitas, not of a float model",
    ),
    ([*FACTORY, "--ties", "down"], 2, "Invalid value for '--ties': must be one of even, up, not"),
    *[
        (
            [command, "m.safetensors", "--ties", "up"],
            2,
            "--ties is of an .onnx file of QONNX, which",
        )
        for command in ("check", "compile", "export", "show")
    ],
    ([*FACTORY, "--input-shape", "3,y"], 2, "--input-shape needs sizes with commas"),
    (["bench", "network", "n.onnx"], 2, "needs module:factory or a name of the zoo, not an .onnx"),
    (["train", "n.onnx"], 2, "needs module:factory or a name of the zoo, not an .onnx file"),
    *list(outputs("verify", "build", option="--waves", suffix=".fst"))[:-1],
    (["verify", "build", "--waves", "w.pdf"], 2, "needs a name that ends in .fst or .vcd, not"),
    (["verify", "build", "--waves-cycles", "0"], 2, f"{NUMBER}greater than or equal to 1, not '0'"),
    (["bench", "faults", "--hardware", "-1"], 2, f"{NUMBER}greater than or equal to 0, not '-1'"),
    (["evaluate", "digits_cnn", "--formats", "9x1"], 2, "BITS"),
    *data("evaluate", "digits_cnn"),
    (["bench", "fuzz", "--count", "0"], 2, f"{NUMBER}greater than or equal to 1, not '0'"),
    (["bench", "fuzz", "--only", "pdf"], 2, "--only needs one of graph, text, model, image, build"),
    (["bench", "applications", "--way", "up:2"], 2, "--way needs ROUNDING:TERMS, as 'gptq:2', not"),
    (["bench", "operators", "--pixels", "3"], 2, f"{NUMBER}greater than or equal to 14, not '3'"),
    (["bench", "throughput", "--only", "none"], 2, "--only needs the name of a case, or a pattern"),
    *list(outputs("bench", "throughput", option="--out")),
    (["bench", "timing", "--replay", "none.jsonl"], 3, "none.jsonl: cannot be read"),
    (["bench", "timing", "--replay", "file.txt"], 3, "file.txt: line 1: it needs JSON, not text"),
    *(
        (["bench", "timing", "--replay", "file.txt", *given], 2, f"{given[0]} is of an analysis,")
        for given in (["--of", "array"], ["--fill", "0.75"], ["--plot", "a.png"])
    ),
    (["bench", "timing", "--of", "none"], 2, "'--of'"),
    (
        ["bench", "timing", "--keep", "--of", "shell"],
        2,
        f"{WHOLE}, as rates are of such",
    ),
    (
        ["bench", "timing", "--keep", "--unused-pins"],
        2,
        f"{WHOLE}, as rates are of such",
    ),
    (["bench", "timing", "--speed-grade", "3"], 2, "'--speed-grade'"),
    (["bench", "timing", "--fill", "1"], 2, "'--fill'"),
    (["bench", "timing", "--seed", "-1"], 2, "'--seed'"),
    (["bench", "timing", "--set", "lanes=3"], 2, "'--set'"),
    *list(outputs("bench", "timing", option="--plot", suffix=".png")),
    (["bench", "zoo", "list.txt", "--terms", "0"], 2, NUMBER),
    (["bench", "zoo", "list.txt"], 3, "list.txt: cannot be read"),
    *outputs("train", "m.safetensors", suffix=".safetensors"),
    *outputs("train", "m.safetensors", option="--checkpoint"),
    *outputs("train", "m.safetensors", option="--metrics"),
    *inputs("train", "factory:build", option="--weights"),
    *inputs("train", "factory:build", option="--teacher-checkpoint"),
    *data("train", "m.safetensors"),
    (["train", "none.safetensors"], 3, "none.safetensors: cannot be read ('No such file or"),
    (["train", "m.safetensors", "--tensorboard", "file.txt"], 3, "file.txt: a folder is to be"),
    (["train", "m.safetensors", "--epochs", "-1"], 2, f"{NUMBER}greater than or equal to 1"),
    (["train", "m.safetensors", "--rate", "nan"], 2, "needs a number above 0, not nan"),
    (["train", "m.safetensors", "--rate", "-1"], 2, "needs a number above 0, not -1"),
    (["train", "m.safetensors", "--method", "magic"], 2, "must be one of straight_through, clip"),
    (["train", "m.safetensors", "--weights", "m.safetensors"], 2, "--weights is of a float model"),
    (["train", "m.safetensors", "--teacher", "none_such:f"], 3, "model 'none_such:f' cannot be"),
    (["train", "m.safetensors", "--device", "tpu"], 2, "must be cpu, cuda or cuda:NUMBER, not"),
    (
        ["train", "m.safetensors", "--teacher", "none", "--teacher-checkpoint", "file.txt"],
        2,
        "--teacher-checkpoint is of a teacher, but --teacher is 'none'",
    ),
    *data("explore", "factory:build"),
    *inputs("explore", "factory:build", option="--checkpoint"),
    *outputs("explore", "factory:build", "--budget", "1m", option="--store"),
    *outputs("explore", "factory:build", "--budget", "1m", option="--page", suffix=".html"),
    *((["explore", name], code, text) for name, code, text in MODELS),
    (["explore"], 2, "Missing argument 'MODEL'"),
    (["explore", "factory:build"], 2, "give --budget or --evaluations, so that the search has"),
    (["explore", "factory:build", "-o", "b"], 2, "-o is of --pick; give it as well"),
    (["explore", "factory:build", "--pick", "knee"], 2, "is of a search, and --pick takes a des"),
    (["explore", "--pick", "knee", "--budget", "1m"], 2, "--budget is of a search, and --pick"),
    (["explore", "--pick", "fastst"], 2, "--pick: a design to pick is knee, fastest, smallest or "),
    (["explore", "--pick", "knee", "--store", "none"], 3, "none: a store of 'qnn explore' cannot"),
    (["explore", "--pick", "knee", "--store", "file.txt"], 3, "file.txt: no store of this vers"),
    (["explore", "--pick", "knee", "-o", "full"], 3, "full: a build needs a new or empty folder,"),
    (["explore", "factory:build", "--budget", "1d"], 2, "needs a time such as 90s, 30m or 2h, n"),
    (["explore", "factory:build", "--budget", "0"], 2, "needs a time such as 90s, 30m or 2h, n"),
    (["explore", "factory:build", "--method", "luck"], 2, "must be one of bayes, random, nsga2, g"),
    (["explore", "factory:build", "--objectives", "lut"], 2, "'--objectives': objectives need two"),
    (["explore", "factory:build", "--constraints", "lut=1"], 2, "constraints need METRIC<NUMBER"),
    (["explore", "factory:build", "--constraints", "lut<1,lut>2"], 2, "contradict each other"),
    (["explore", "factory:build", "--clock-mhz", "1,2"], 2, "needs LOW,EXPECTED,HIGH in MHz, not"),
    (["explore", "factory:build", "--clock-mhz", "3,2,1"], 2, "a clock interval needs 0 < low"),
    (["explore", "factory:build", "--board", "de10", "--budget", "1m"], 2, ONE_OF_BOARDS[:16]),
    (["explore", "factory:build", "--budget", "1m", "--vary", "x=1"], 2, "--vary: a choice needs"),
    (
        ["explore", "factory:build", "--budget", "1m", "--board", boards.reference("ecp5").name],
        2,
        "cells of its device are not estimated; take none",
    ),
    *list(outputs("export", "m.safetensors", suffix=".qgraph"))[:-1],
    (["export", "m.safetensors", "-o", "out.pdf"], 2, "a name that ends in .qgraph or .onnx, not"),
    (
        ["export", "m.safetensors", "--format", "pb"],
        2,
        "must be one of qgraph, onnx, qonnx, not 'pb'",
    ),
    (
        ["export", "m.safetensors", "--format", "onnx", "-o", "m.qgraph"],
        2,
        "--format onnx needs a name that ends in .onnx: 'm.qgraph'",
    ),
    (["export", "m.safetensors", "--codes"], 2, "--codes is of --format onnx, not of qgraph"),
    (["verify", "build", "--against", "me"], 2, "must be one of reference, onnxruntime, not 'me'"),
    (["export", "none.qgraph"], 3, "none.qgraph: cannot be read ('No such file or directory');"),
    (["export", "file.txt"], 2, "needs a name that ends in .safetensors or .qgraph or"),
    (["check", "m.safetensors", "--config", "huge"], 2, "config must be one of test, small, refer"),
    (["check", "m.safetensors", "--set", "lanes=7"], 2, "SvpeConfig lanes must be a power of two"),
    (["check", "factory:build", "--set", "lanes=7"], 2, "SvpeConfig lanes must be a power of two"),
    (["check", "m.safetensors", "--set", "lanes"], 2, "--set needs SIZE=NUMBER, with a size of"),
    (["check", "folder", "--config", "test"], 2, "--config and --set are of a model, but MODEL"),
    (["compile", "m.safetensors", "-o", "file.txt"], 3, "file.txt: a build needs a new or empty"),
    (["compile", "m.safetensors", "-o", "full"], 3, "full: a build needs a new or empty folder,"),
    (["compile", "m.safetensors", "-o", "file.txt/build"], 3, "file.txt/build: nothing can be wri"),
    (["compile", "m.safetensors", "-o", "/proc/build"], 3, "/proc/build: nothing can be written"),
    (["compile", "m.safetensors", "-o", "."], 3, ".: a build needs a folder that it can replace"),
    (["compile", "file.txt"], 2, "needs a name that ends in .safetensors or .qgraph or"),
    (["compile", "none.safetensors"], 3, "none.safetensors: cannot be read ('No such file or"),
    (["compile", "m.safetensors", "--config", "huge"], 2, "config must be one of test, small, r"),
    (["compile", "m.safetensors", "--set", "lanes=0"], 2, "SvpeConfig lanes must be a power of"),
    (["compile", "m.safetensors", "--board", BOARD, "--set", "rows=3"], 2, "SvpeConfig rows"),
    (["compile", "m.safetensors", "--board", "de10"], 2, ONE_OF_BOARDS),
    (["compile", "m.safetensors", "--batch", "0"], 2, f"{NUMBER}greater than or equal to 1"),
    (["compile", "m.safetensors", "--cores", "2"], 2, "--cores and --clock-mhz are of a board;"),
    (["compile", "m.safetensors", "--clock-mhz", "inf"], 2, "needs a number above 0, not inf"),
    (["compile", "m.safetensors", "--backend", "gpu"], 2, "must be one of array, not 'gpu'"),
    *outputs("simulate", "build", suffix=".npz"),
    *data("simulate", "build"),
    (["simulate", "build"], 3, "build: not a build folder; make one with 'qnn compile' or"),
    (["simulate", "build", "--images", "0"], 2, f"{NUMBER}greater than or equal to 1, not '0'"),
    *outputs("verify", "build", option="--junit"),
    *data("verify", "build"),
    (["verify", "build", "--images", "-3"], 2, f"{NUMBER}greater than or equal to 1, not '-3'"),
    (["bench", "accuracy", "--ray", "a:b"], 2, "needs 'auto' or HOST:PORT, not 'a:b'"),
    (["bench", "accuracy", "--workers", "0"], 2, f"{NUMBER}greater than or equal to 1, not '0'"),
    (["verify", "a", "b"], 2, "more than one BUILD needs --farm; give it"),
    (["verify", "a", "./a", "--farm"], 2, "each BUILD is given once, but a twice; leave one out"),
    (["verify", "a", "--workers", "2"], 2, "--workers needs --farm; give it"),
    (["verify", "a", "--ray", "auto"], 2, "--ray needs --farm; give it"),
    *(
        (["verify", "a", "--farm", *option], 2, f"{option[0]} is not of --farm; leave out one of")
        for option in (
            ["--thorough"],
            ["--stalls", "1"],
            ["--against", "onnxruntime"],
            ["--waves", "waves.vcd"],
            ["--waves-cycles", "9"],
        )
    ),
    (
        ["verify", "a", "--farm", "--workers", "0"],
        2,
        f"{NUMBER}greater than or equal to 1, not '0'",
    ),
    (["verify", "a", "--farm", "--ray", "host"], 2, "needs 'auto' or HOST:PORT, not 'host'"),
    (["verify", "a", "b", "--farm"], 3, "a: not a build folder; make one with 'qnn compile' or"),
    (["verify", "build"], 3, "build: not a build folder; make one with 'qnn compile' or"),
    *outputs("run", "build", "--device", "rtl:", suffix=".npz"),
    *data("run", "build", "--device", "rtl:"),
    (["run", "build"], 2, "Missing option '--device'"),
    *outputs("synth", "build"),
    *outputs("synth", "build", option="--plot", suffix=".png"),
    (["synth", "build", "--timing", "--board", boards.reference("ecp5").name], 2, "'--timing'"),
    (["synth", "build", "--timing", "--speed-grade", "-2"], 2, "'--speed-grade'"),
    (["synth", "build", "--timing", "--part", "array"], 2, "--part is of counts; leave it out"),
    (
        ["synth", "build", "--board", boards.reference("ecp5").name, "--part", "array"],
        2,
        "--part is of counts; leave",
    ),
    *(
        (["synth", "build", *given], 2, f"{given[0]} is of the clock's estimate; give --timing as")
        for given in (["--speed-grade", "2"], ["--seed", "0"], ["--unused-pins"])
    ),
    (["synth", "build", "--board", "de10"], 2, ONE_OF_BOARDS),
    (["synth", "build", "--part", "all"], 2, "'--part'"),
    (["testbench", "build", "--images", "0"], 2, f"{NUMBER}greater than or equal to 1, not '0'"),
    *data("testbench", "build"),
    (["completion", "sh"], 2, "must be one of bash, zsh, fish, not 'sh'"),
    (["help", "paint"], 2, "No such command 'paint'."),
    (["version", "--loud"], 2, "No such option: --loud"),
    (["serve", "build"], 3, "build: not a build folder; make one with 'qnn compile' or"),
    (["show", "folder", "--full"], 2, "--full is of a graph; the text of a program always is"),
    (["report", "none"], 3, "none: not a build folder; make one with 'qnn compile'"),
    (["demo", "--images", "361"], 2, f"{NUMBER}less than or equal to 360, not '361'"),
    (["demo", "-o", "file.txt"], 3, "file.txt: a folder is to be written, but this is a file;"),
    *inputs("bench", "network", "factory:build", option="--checkpoint"),
    *data("bench", "network", "factory:build"),
    (["bench", "network", "factory:build", "--config", "huge"], 2, "config must be one of test,"),
    (["bench", "network", "factory:build", "--set", "lanes=7"], 2, "SvpeConfig lanes must be"),
    (["bench", "network", "factory:build", "--cores", "5"], 2, f"{NUMBER}less than or equal to 4"),
    *outputs("bench", "accuracy", option="--out"),
    (["bench", "accuracy", "--plots", "file.txt"], 3, "file.txt: a folder is to be written, but"),
    (["bench", "training", "--steps", "0"], 2, f"{NUMBER}greater than or equal to 1, not '0'"),
    (["bench", "rounding", "--steps", "0"], 2, f"{NUMBER}greater than or equal to 1, not '0'"),
    (["bench", "rounding", "--batch", "1"], 2, f"{NUMBER}greater than or equal to 2, not '1'"),
    *outputs("bench", "array", suffix=".png", option="--plot"),
    (["bench", "array", "--saif", "file.txt"], 3, "file.txt: a folder is to be written, but this"),
]


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What each case's command line gave: exit code, outputs and seconds, by its arguments."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "file.txt").write_text("text")
    (folder / "m.safetensors").touch()
    (folder / "factory.py").write_text("raise AssertionError('imported before all is checked')")
    for name in ("folder", "full", "folder.npz", "folder.safetensors", "folder.qgraph", "build",
                 "folder.png", "folder.fst", "folder.html"):  # fmt: skip
        (folder / name).mkdir()
    (folder / "full" / "notes").touch()
    os.mkfifo(folder / "pipe")
    before = sorted(folder.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([arguments for arguments, _, _ in CASES]),
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.getcwd(), "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    told = dict(zip((str(case[0]) for case in CASES), map(json.loads, lines), strict=True))
    return told, before == sorted(folder.rglob("*"))


@pytest.mark.parametrize(("arguments", "code", "text"), CASES, ids=lambda value: str(value)[:60])
def test_a_bad_argument_is_refused_before_any_work(answers, arguments, code, text):
    left, out, err, seconds = answers[0][str(arguments)]
    assert text in err
    assert (left, out, err.count("\n")) == (code, "", 1)
    assert err.startswith("error: ")
    assert seconds < 1


def test_what_is_refused_writes_nothing(answers):
    assert answers[1]


def commands(group=None):
    """Every command with its parameters, by its words."""
    import typer

    from qnn.cli.app import app

    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from (((name, *words), found) for words, found in commands(command))
        else:
            yield (name,), command


def test_every_path_of_every_command_has_a_check():
    unchecked = [
        (*words, parameter.name)
        for words, command in commands()
        for parameter in command.params
        if parameter.type_descriptor.annotation is Path and parameter.callback is None
    ]
    # A build or a graph is read at once by the command, which says what is wrong with it.
    assert {name for *_, name in unchecked} <= {"build", "path", "model", "data"}


def test_every_command_has_a_case():
    tried = {tuple(arguments[:2]) for arguments, _, _ in CASES}
    tried |= {words[:1] for words in tried}
    assert [words for words, _ in commands() if words not in tried] == [("doctor",)]
