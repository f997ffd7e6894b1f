"""Planted faults: what is drawn, that it is found, and that what is harmless is proved so."""

import ast
import os
import re
import select
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hw.spec.config import named_config
from qnn.bench.faults import campaign
from qnn.bench.faults.campaign import FaultCounts
from qnn.bench.faults.equivalents import EQUIVALENTS, is_equivalent
from qnn.bench.faults.hardware import _last_line
from qnn.bench.faults.mutant_process import ROOT, told, with_mutant
from qnn.bench.faults.outcome import PlantedFault
from qnn.bench.faults.own_tests import quick_tests
from qnn.bench.faults.python_mutants import PythonMutant, draw, mutants
from qnn.bench.faults.seen import Seen
from qnn.bench.faults.software import SoftwareFaults
from qnn.bench.faults.trials import FaultTrial
from qnn.bench.faults.unseen_by_programs import PROOFS, is_proved
from qnn.eda.mutants import TOP, VerilogMutant, plant
from qnn.eda.same_behaviour import same_behaviour
from qnn.eda.unseen_faults import unseen_faults
from qnn.ir.serialize import to_bytes
from tests.compiler import small_graphs
from tests.replay import networks

SOURCE = '''"""A text with 7."""


def f(a: int = 3, *, b=not True) -> int:
    if a < 2 and b:
        raise ValueError("no 5")
    return min(a + 1, -a << 2) if a else f"{a + 9}"
'''


def test_every_kind_of_change_is_made_once_and_texts_and_errors_are_left():
    found = [f"{each.before} > {each.after}" for each in mutants("f.py", SOURCE)]
    assert found == [
        "not True > True",
        "True > False",
        "3 > 4",
        "a < 2 and b > a < 2 or b",
        "a < 2 > a <= 2",
        "2 > 3",
        "min(a + 1, -a << 2) if a else f'{a + 9}' > f'{a + 9}' if a else min(a + 1, -a << 2)",
        "min(a + 1, -a << 2) > max(a + 1, -a << 2)",
        "a + 1 > a - 1",
        "1 > 2",
        "-a << 2 > -a >> 2",
        "-a > a",
        "2 > 3",
    ]


def test_a_promise_of_equal_lengths_is_left():
    assert [str(each) for each in mutants("f.py", "a = zip(b, c, strict=True, d=1)")] == [
        "f.py:1: '1' became '2'"
    ]


def test_the_size_that_numpy_finds_may_have_any_number_below_0():
    assert [str(each) for each in mutants("f.py", "a.reshape(2, -1)")] == [
        "f.py:1: '2' became '3'",
        "f.py:1: '-1' became '1'",
    ]


@pytest.mark.parametrize("proved", EQUIVALENTS, ids=lambda each: each.line)
def test_each_proof_is_of_one_mutant_of_the_code_as_it_is(proved):
    found = [
        each
        for each in mutants(proved.path, (ROOT / proved.path).read_text())
        if each.changed_line == proved.line
    ]
    assert len(found) == 1, "the line is written anew: prove it again, or remove its proof"
    assert is_equivalent(found[0])
    assert re.fullmatch(r"[A-Z].*\.", proved.proof)


def test_every_mutant_is_python_and_differs_in_one_place():
    for path in ("qnn/compiler/tiles.py", "sim/functional.py"):
        text = (ROOT / path).read_text()
        whole = ast.dump(ast.parse(text))
        for each in mutants(path, text):
            assert ast.dump(ast.parse(each.text)) != whole, str(each)


def test_mutants_are_spread_over_files_and_the_same_for_a_seed():
    sources = {f"{name}.py": SOURCE for name in "abc"}
    drawn = draw(sources, 7, 1)
    assert [each.path for each in drawn] == ["a.py", "b.py", "c.py"] * 2 + ["a.py"]
    assert drawn == draw(sources, 7, 1)
    assert drawn != draw(sources, 7, 2)
    assert len(draw(sources, 1000, 1)) == 3 * 13


def trial(graph):
    (source,) = graph.inputs
    x = np.random.default_rng(0).integers(source.type.low, source.type.high, (2, *source.shape))
    return FaultTrial(to_bytes(graph), "test", (x,))


def changed(path, before, after):
    text = Path(ROOT / path).read_text()
    assert text.count(before) == 1
    return PythonMutant(path, 1, before, after, text.replace(before, after))


def judged(monkeypatch, mutant, files=()):
    monkeypatch.setattr("qnn.bench.faults.software.quick_tests", lambda _path: files)
    monkeypatch.setattr("qnn.bench.faults.software.draw", lambda *_: [mutant])
    return SoftwareFaults([trial(small_graphs.residual())], 1, 0).judge(0)


def test_a_fault_of_the_compiler_is_found_in_its_layer(monkeypatch):
    place = "(plain.low - offset, plain.high - offset)"
    wrong = changed("qnn/compiler/epilogue.py", place, "(plain.low, plain.high - offset)")
    outcome = judged(monkeypatch, wrong)
    assert outcome.found == "verify names c"
    assert outcome.localised


def test_a_compiler_that_raises_is_found(monkeypatch):
    path = "qnn/compiler/epilogue.py"
    source = (ROOT / path).read_text() + "\n1 / 0\n"
    outcome = judged(monkeypatch, PythonMutant(path, 1, "", "", source))
    assert outcome.found == "ZeroDivisionError: division by zero"
    assert not outcome.localised


def test_a_process_that_says_nothing_hangs_and_one_that_ends_died():
    reader, writer = os.pipe()
    assert told(reader, 0.01) == (None, "it hangs for 0 s")
    os.close(writer)
    assert told(reader, 0.01) == (None, "its process died")
    os.close(reader)


def compute():
    while True:
        pass


def test_a_mutant_hangs_after_seconds_of_computing_however_slow_the_machine_is():
    assert with_mutant(None, lambda: time.sleep(1.5) or 7, 1) == (7, None)
    assert with_mutant(None, compute, 1) == (None, "it hangs for 1 s")


def test_a_mutant_ends_when_its_campaign_is_killed():
    reader, writer = os.pipe()
    campaign_process = os.fork()
    if campaign_process == 0:
        os.close(reader)
        with_mutant(None, lambda: os.write(writer, b"started") and time.sleep(60), 60)
        os._exit(0)
    os.close(writer)
    assert os.read(reader, 7) == b"started"
    os.kill(campaign_process, signal.SIGKILL)
    os.waitpid(campaign_process, 0)
    # Whatever lives of the mutant's processes holds the writing side open.
    assert select.select([reader], [], [], 10)[0], "the mutant's processes live on"
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_what_changes_nothing_survives(monkeypatch):
    path = "qnn/compiler/epilogue.py"
    source = (ROOT / path).read_text() + "\nUNUSED = 1\n"
    outcome = judged(monkeypatch, PythonMutant(path, 1, "", "", source))
    assert outcome.found is None
    assert not outcome.equivalent
    assert not outcome.changes_artifacts
    assert outcome.survives


def test_what_is_proved_to_change_nothing_does_not_survive(monkeypatch):
    given, path = "NONE = -1  # no instruction", "qnn/compiler/newest.py"
    (proved,) = (each for each in EQUIVALENTS if each.path == path)
    mutant = changed(path, given, proved.line)
    mutant = replace(mutant, line=mutant.text[: mutant.text.index("NONE")].count("\n") + 1)
    outcome = judged(monkeypatch, mutant)
    assert outcome.equivalent
    assert not outcome.survives


def test_a_fault_of_hardware_that_no_program_shows_has_its_proof_at_one_place_alone():
    fault = r"\S+: (inv|const[01]|cnot[01]) of \S+\[\d+\]( by \[\d+\])? \(\S+:\S+\)"
    assert all(re.fullmatch(fault, each) for each in PROOFS)
    place = "fetch.base[12] by [2]"
    mutant = VerilogMutant(
        1, "qnn_accelerator.shell", "cnot1", place, "qnn_accelerator.v:12416.33-12434.4"
    )
    assert str(mutant) in PROOFS
    assert is_proved(mutant)
    for changed in ({"place": "fetch.base[11] by [2]"}, {"source": "a.v:1.1-2.2"}, {"mode": "inv"}):
        assert not is_proved(replace(mutant, **changed))


def test_what_costs_cycles_and_changes_no_value_is_one_that_replay_finds(monkeypatch):
    place = "if instruction.op is Op.LOAD:"
    slower = changed("qnn/compiler/hoist_loads.py", place, "if instruction.op is Op.END:")
    outcome = judged(monkeypatch, slower)
    assert outcome.found is None
    assert outcome.found_by_test == "python -m tests.replay"
    assert outcome.changes_artifacts
    assert not outcome.survives


def test_what_changes_nothing_that_is_compiled_is_found_by_a_test_beside_it(monkeypatch):
    lost = changed("qnn/compiler/newest.py", "return len(self._starts)", "return 0")
    files = ("tests/compiler/test_newest.py",)
    outcome = judged(monkeypatch, lost, files)
    assert outcome.found is None
    assert outcome.found_by_test.startswith(f"{files[0]}::test_")
    assert not outcome.changes_artifacts


def test_replay_has_the_networks_of_a_campaign():
    own = [to_bytes(graph) for graph, _, _ in campaign._networks(0)]
    assert [to_bytes(make()) for make in networks.campaign().values()] == own


def test_the_tests_of_a_file_are_its_own_and_then_those_beside_it():
    found = quick_tests("qnn/compiler/newest.py")
    assert found[:2] == ("tests/compiler/test_newest.py", "tests/compiler/test_allocate.py")
    assert "tests/sim/test_functional.py" in quick_tests("sim/functional_plan.py")
    assert quick_tests("not/installed.py") == ()


def test_a_simulation_that_failed_is_told_by_its_error_and_not_by_the_end_of_its_log():
    log = "1 of 1 tests failed\n   AssertionError: STATUS reads 0x1 after a reset\n\n- $finish"
    assert _last_line(log) == "AssertionError: STATUS reads 0x1 after a reset"
    assert _last_line("verify: FAIL\n  run 0: time-out: not done after 9 cycles") == (
        "run 0: time-out: not done after 9 cycles"
    )


def test_a_campaign_counts_and_lists_survivors():
    outcomes = (
        PlantedFault("a", "m", "verify names c", localised=True),
        PlantedFault("b", "m", "it hangs"),
        PlantedFault("c", "m", None),
        PlantedFault("d", "m", None, equivalent=True),
        PlantedFault("e", "m", None, found_by_test="test_e"),
    )
    fields = FaultCounts(outcomes).to_fields()
    assert {key: fields[key] for key in ("planted", "found", "localised", "equivalent")} == {
        "planted": 5,
        "found": 2,
        "localised": 1,
        "equivalent": 1,
    }
    assert fields["found_by_tests"] == 1
    assert [each["fault"] for each in fields["survivors"]] == ["c"]


def test_the_networks_of_a_campaign_are_the_same_for_a_seed():
    first, again = (list(campaign._networks(3)) for _ in range(2))
    assert [to_bytes(graph) for graph, _, _ in first] == [to_bytes(graph) for graph, _, _ in again]
    assert all(np.array_equal(a, b) for a, b in zip(first[0][2], again[0][2], strict=True))


CORE = f"""
module {TOP} (input clk, input [3:0] a, output reg [3:0] sum, output always_zero,
              output [1:0] half);
  wire [3:0] next;
  adder adder (.a(a), .b(sum), .o(next));
  assign always_zero = next[0] & ~next[0];
  wire [3:0] copied;
  copy copy (.clk(clk), .a(a), .o(copied));
  assign half = copied[1:0];
  always @(posedge clk) sum <= next;
endmodule
"""
ADDER = """
module adder (input [3:0] a, input [3:0] b, output [3:0] o);
  assign o = a + b;
endmodule
"""

COPY = """
module copy (input clk, input [3:0] a, output reg [3:0] o);
  always @(posedge clk) o <= a;
endmodule
"""


@pytest.mark.rtl
def test_faults_are_spread_over_modules_and_harmless_ones_are_proved(tmp_path):
    assert named_config("test").lanes  # the configuration that campaigns take exists
    planted = plant({"core.v": CORE, "adder.v": ADDER, "copy.v": COPY}, 40, 0, tmp_path / "choice")
    assert {each.module for each in planted.mutants} == {TOP, "adder", "copy"}
    assert [each.number for each in planted.mutants] == list(range(1, len(planted.mutants) + 1))
    assert planted.verilog.count("$readmemh") == 1
    assert not any(".clk[" in each.place for each in planted.mutants)
    unseen = unseen_faults(planted)
    same = {each.place: same_behaviour(planted, each) for each in planted.mutants}
    assert any(same.values()), "a gate of what is always zero changes nothing"
    assert not any(is_same for place, is_same in same.items() if "adder" in place)
    # The upper half of the copy leads to no pin, which its own module does not know.
    copied = [each for each in planted.mutants if each.module == "copy"]
    upper = {each.number for each in copied if re.search(r"\.\w+\[[23]\]", each.place)}
    assert upper
    assert {each.number for each in copied} & unseen == upper
    assert not any(each.module == "adder" and each.number in unseen for each in planted.mutants)


@pytest.mark.parametrize(
    ("layer", "programs", "right"),
    [
        ("a", {"a": "1", "b": "2"}, True),  # no program changed: the fault is a simulator's
        ("a", {"a": "9", "b": "2"}, True),
        ("b", {"a": "9", "b": "2"}, False),
        ("b", {"a": "1"}, True),  # it is not computed any more
        (None, {"a": "9", "b": "2"}, False),
    ],
)
def test_a_layer_that_is_named_is_right_if_the_fault_changed_it(layer, programs, right):
    sound = Seen(None, True, None, {"a": "1", "b": "2"})
    assert Seen(None, False, layer, programs).localised(sound) is right


def test_a_program_that_the_compiler_proves_wrong_is_told_with_its_layer(monkeypatch):
    early = changed("qnn/compiler/add_tokens.py", "if other == engine:", "if other != engine:")
    outcome = judged(monkeypatch, early)
    assert outcome.found == (
        "ProgramError: instruction 5 of layer 'c': touches FEATURES that load still writes"
    )
    assert outcome.localised
