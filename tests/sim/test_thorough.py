"""What a thorough verification reaches, and what it finds that a plain one does not."""

import re
from dataclasses import replace

import pytest

import qnn
from hw.spec.config import SvpeConfig, named_config
from hw.spec.isa.tiles import NO_FENCE, Tiles
from hw.spec.isa.transfer import Transfer
from qnn.backend.array.trials import rtl_trials
from qnn.backend.trial import Trial
from qnn.compiler import compile_graph
from qnn.ir.text import text
from sim import rtl
from sim.exercise import exercises
from sim.junit import junit
from sim.runner import SimulationFailed
from sim.verification import LayerReport, Report
from sim.verify import verify
from tests.compiler import small_graphs
from tests.graphs import images as inputs_of
from tests.sim.modes import every_mode, modes
from tests.sim.test_faults import sound

# Runs of 1,000 cycles by the model, and whether they pass.
TAKEN = [(1000, True), (999, False), (1001, False)]
CONFIGS = {
    "test": named_config("test"),
    "small": named_config("small"),
    "reference": named_config("reference"),
    "a column": named_config("test", weight_bits=5, columns=1),
    "16 bits": named_config("test", activation_bits=16, accumulator_bits=40, result_bits=48),
    "16 columns": SvpeConfig(lanes=32, rows=8, columns=16, weight_bits=2, bus_bits=64),
    "few words": SvpeConfig(
        lanes=4, rows=1, columns=2, feature_words=128, weight_words=64, parameter_words=16
    ),
    "four words": named_config("small", columns=8, epilogue_words=4),
    "neighbours": named_config("small", columns=8, epilogue_words=2, neighbours=2),
    "multipliers": named_config("test", pe="multiply", weight_bits=8),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_its_networks_reach_every_mode_of_the_configuration(name):
    config = CONFIGS[name]
    made = list(exercises(config, 1))
    images = [compile_graph(graph, config, batch) for _, graph, batch in made]
    reached = set().union(*map(modes, images))
    assert sorted(every_mode(config) - reached) == []
    assert sorted(reached - every_mode(config)) == []
    # What no single instruction says.
    assert any(len(image.input_axes) > 1 for image in images)
    assert any(image.batch > 1 for image in images)
    assert any(image.pixel_tables[0] for image in images)
    assert any(len(image.output_shapes) > 1 for image in images)
    assert any(conv.window.groups == conv.shape[0] for _, g, _ in made for conv in g.convs)
    assert any(len({layer.row for layer in image.layers}) > 1 for image in images)


def test_its_loops_are_longer_than_powers_of_two_and_its_transfers_have_many_rows():
    config = CONFIGS["test"]
    program = [i for _, g, b in exercises(config, 1) for i in compile_graph(g, config, b).program]
    tiles = [each for each in program if isinstance(each, Tiles)]
    for loop in ("blocks", "kernel_x", "kernel_y"):
        assert {3, 5, 9, 17} <= {getattr(each, loop) for each in tiles}
    assert 33 in {each.tiles_x for each in tiles}
    assert 17 in {each.tiles_y for each in tiles}
    # With as many turns as the buffers hold; of kernels and blocks with one word of weights, too.
    assert {255, 256, 257} <= {each.tiles_x for each in tiles}
    assert {127, 128, 129} <= {each.tiles_y for each in tiles}
    for loop in ("blocks", "kernel_x", "kernel_y"):
        assert {(256, 1), (1023, 0), (1024, 0), (1025, 0)} <= {
            (getattr(each, loop), each.weight_step) for each in tiles
        }
    # Of the cycles that an instruction may wait, the upper bits as well.
    assert max(each.fence for each in tiles if each.fence != NO_FENCE) > 2048
    for op in Transfer.OPS:
        assert max(each.rows for each in program if each.op is op) > 17


def test_its_networks_are_the_same_for_the_same_seed():
    config = CONFIGS["test"]
    first, again, other = (
        [text(graph, full=True) for _, graph, _ in exercises(config, seed)] for seed in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.parametrize("name", CONFIGS)
def test_its_networks_are_computed_as_the_reference_says(name):
    graph = small_graphs.one_conv()
    config = replace(CONFIGS[name], weight_bits=max(3, CONFIGS[name].weight_bits))
    design = qnn.compile(graph, config)
    x = inputs_of(graph, 1)
    report = verify(design, x, "functional", thorough=True)
    assert report.passed, str(report)
    # Few words hold no long loops but of as many turns as there are words.
    loops = ["of long loops"] if name != "few words" else []
    made = ["of every kind", "in strips", *loops, "of the longest loops"]
    assert [trial for trial, _ in report.trials] == [f"a network {each}" for each in made]
    runs = 1 + len(made)
    assert str(report) == f"verify: PASS 0/{report.values_compared} mismatches in {runs} runs"


def test_a_configuration_of_a_very_large_buffer_has_no_strips():
    config = replace(named_config("test"), feature_words=1 << 16)
    made = [name for name, _, _ in exercises(config, 1)]
    assert made == ["of every kind", "of long loops", "of the longest loops"]


def test_a_trial_that_fails_is_named():
    right = LayerReport("a", "conv", 0, 5, 0, None, None, None)
    wrong = replace(right, name="b", mismatches=2, problem="2 writes outside its tensor")
    trials = (("a slow memory", Report("rtl", (right,), None)),)
    report = Report("rtl", (right,), None, trials=trials)
    assert report.passed
    assert str(report) == "verify: PASS 0/10 mismatches in 2 runs"
    failed = Report("rtl", (right, wrong), "time-out")
    report = replace(report, trials=(*trials, ("resets", failed)))
    assert not report.passed
    assert (report.mismatches, report.first_layer) == (2, "b")
    assert str(report) == (
        "verify: FAIL 2/20 mismatches in 3 runs\n"
        "  with resets:\n"
        "  time-out\n"
        "  layer 'b', image 0: 2 writes outside its tensor"
    )
    assert 'failures="2"' in junit(report)
    assert 'classname="qnn verify.rtl, resets" name="b (conv), image 0"' in junit(report)


def test_a_design_that_fails_is_not_tried_further():
    graph = small_graphs.one_conv()
    design = qnn.compile(graph)
    wrong = replace(design, artifact=replace(design.artifact, layers=()))
    x = inputs_of(graph, 1)
    report = verify(wrong, x, "functional", thorough=True)
    assert not report.passed
    assert report.trials == ()


def test_each_trial_has_its_own_limit_and_the_first_that_fails_is_the_last(monkeypatch):
    right = LayerReport("a", "conv", 0, 5, 0, None, None, None)
    limits = []

    def run(_design, _x, _device, _expected, options):
        limits.append(options.get("limit"))
        return Report("functional", (right,), "time-out" if options.get("limit") == 7 else None)

    monkeypatch.setattr("sim.verify._verify", run)
    graph = small_graphs.one_conv()
    design, x = qnn.compile(graph), inputs_of(graph, 1)

    def names(**given):
        report = verify(design, x, "functional", thorough=True, limit=100, **given)
        return [name for name, _ in report.trials]

    # The caller's limit is the plain run's alone.
    assert len(names()) == 4
    assert limits == [100, None, None, None, None]
    limits.clear()
    given = {"a network of every kind": 7, "a network in strips": 8}
    assert names(trial_limits=given) == ["a network of every kind"]
    assert limits == [100, 7]


def test_all_its_trials_share_the_simulator_of_the_plain_run(monkeypatch):
    design, x = sound()
    asked = []

    def build(_config, *, words, **_):
        asked.append(words)
        raise NotImplementedError

    monkeypatch.setattr(rtl, "build", build)
    own = {"graph": design.graph, "artifact": design.artifact, "inputs": x}
    plain = Trial(name="plain", **own)
    trials = [plain, *rtl_trials(design.graph, design.artifact, x, None)]
    for trial in trials:
        with pytest.raises(NotImplementedError):
            rtl.execute(trial.artifact, trial.inputs, **trial.options)
    assert asked == [rtl.LEAST_WORDS] * len(trials)


@pytest.mark.parametrize(("taken", "passes"), TAKEN)
def test_hardware_that_takes_other_cycles_than_the_model_is_found(taken, passes, monkeypatch):
    right = LayerReport("a", "conv", 0, 5, 0, None, None, None)
    graph = small_graphs.one_conv()
    design, x = qnn.compile(graph), inputs_of(graph, 1)
    ran = Report("rtl", (right,), None, run_cycles=(1000, taken))
    own = {"graph": graph, "artifact": design.artifact, "inputs": x}
    trials = [Trial(name="any cycles", **own), Trial(name="these", cycles=1000, **own)]
    monkeypatch.setattr("sim.verify._verify", lambda *_: ran)
    monkeypatch.setattr(type(design.backend), "trials", lambda *_: trials)
    report = verify(design, x, "rtl", thorough=True)
    assert report.passed == passes
    text = f"run 1 took {taken:,} cycles, not 1,000 as the model says"
    assert [(name, of.failure) for name, of in report.trials] == [
        ("any cycles", None),
        ("these", None if passes else text),
    ]


@pytest.fixture(scope="module")
def thorough():
    design, x = sound()
    return verify(design, x, "rtl", thorough=True)


@pytest.mark.rtl
def test_the_sound_design_passes_all_trials(thorough):
    design, x = sound()
    assert thorough.passed, str(thorough)
    names = [trial.name for trial in rtl_trials(design.graph, design.artifact, x, None)]
    assert [name for name, _ in thorough.trials] == names
    assert names == [
        *(f"a memory that stalls, seed {seed}" for seed in (1, 2, 3)),
        "a slow memory",
        "resets in the middle of a run",
        "a memory at other addresses",
        "a memory error of the program at another address",
        "a memory error of the program",
        "a memory error of the weights",
        "a memory error of the output",
        "an instruction that does not exist",
        "a network of every kind",
        "a network of every kind, reset in all parts",
        "a network of every kind, stalled",
        "a network in strips",
        "a network in strips, reset in all parts",
        "a network in strips, stalled",
        "a network of long loops",
        "a network of long loops, reset in all parts",
        "a network of long loops, stalled",
        "a network of the longest loops",
        "a network of the longest loops, reset in all parts",
        "a network of the longest loops, stalled",
        "program 0 drawn at random, reset in all parts",
        "program 1 drawn at random, by a slow host",
        "program 2 drawn at random, at large offsets",
        "program 3 drawn at random, at other large offsets",
        "program 4 drawn at random, stalled",
        *(f"program {seed} drawn at random, plain" for seed in range(5, 10)),
    ]
    cycles = {name: trial.run_cycles for name, trial in thorough.trials}
    assert len({cycles[f"a memory that stalls, seed {seed}"] for seed in (1, 2, 3)}) == 3


def mutant(name, module, old, new):
    """The accelerator of the sound design with one place of a module's Verilog changed."""
    verilog = dict(rtl.generated(sound()[0].config))
    before, start, rest = verilog[name].partition(f"module {module}")
    assert old in rest
    return {**verilog, name: before + start + rest.replace(old, new, 1)}


def proofs(design, built):
    """The proofs among the trials, by the file that they are of."""
    x = inputs_of(design.graph, 1)
    found = rtl_trials(design.graph, design.artifact, x, built)
    return {trial.name: trial for trial in found if trial.proof is not None}


@pytest.mark.rtl
def test_cells_for_synthesis_are_proved_to_compute_what_is_simulated():
    graph = small_graphs.one_conv()
    design = qnn.compile(graph)
    built = design.backend.files(design.artifact)
    names = {
        part: f"a proof that rtl/ultrascale/qnn_{part}.v computes what rtl/qnn_{part}.v does"
        for part in ("maxima", "pe", "pick", "scale")
    }
    assert list(proofs(design, built)) == list(names.values())
    cells = "rtl/ultrascale/qnn_pick.v"
    assert proofs(design, built)[names["pick"]].proof() is None
    wrong = built[cells].replace(b".I0(", b".I0(~ ", 1)
    problem = proofs(design, {**built, cells: wrong})[names["pick"]].proof()
    assert problem.endswith(" registers and outputs are not proved equal")
    problem = proofs(design, {**built, cells: b"module"})[names["pick"]].proof()
    assert problem.startswith("yosys cannot compare the two: ")


@pytest.mark.slow
@pytest.mark.rtl
@pytest.mark.parametrize(
    ("place", "trial"),
    [
        (
            ("qnn_scale.v", "qnn_scale(", "skip_late_1 <= skip;", "skip_late_1 <= 0;"),
            "a network of every kind",
        ),
        (
            (
                "qnn_accelerator.v",
                "\\qnn_accelerator.shell.fetch ",
                "      \\$24  = 7'h40;",
                "      \\$24  = \\$11 [6:0];",
            ),
            "resets in the middle of a run",
        ),
        (
            (
                "qnn_accelerator.v",
                "\\qnn_accelerator.shell.write_channel ",
                "= requests__payload[39:0];",
                "= requests__payload[39:0] & ~(40'd1 << 34);",
            ),
            "a memory at other addresses",
        ),
        (
            (
                "qnn_accelerator.v",
                "\\qnn_accelerator.shell.gates ",
                "store_to_compute <= \\$88 ;",
                "store_to_compute <= \\$88 [2:0];",
            ),
            "program 0 drawn at random, reset in all parts",
        ),
        (
            (
                "qnn_accelerator.v",
                "\\qnn_accelerator.shell.load.transfers.runs ",
                "+ transfer[144:113];",
                "+ (transfer[144:113] & ~(32'd1 << 30));",
            ),
            "program 2 drawn at random, at large offsets",
        ),
    ],
    ids=[
        "a mode that the network does not use",
        "a value that a reset leaves",
        "a bit of an address that was always zero",
        "tokens of which there are more than eight",
        "an offset of many megabytes",
    ],
)
def test_a_fault_that_the_network_does_not_show_is_found(place, trial):
    design, x = sound()
    verilog = mutant(*place)
    assert verify(design, x, "rtl", verilog=verilog).passed
    report = verify(design, x, "rtl", verilog=verilog, thorough=True)
    assert not report.passed
    assert report.failed_trial[0] == trial


@pytest.mark.rtl
def test_tiles_that_are_computed_for_nothing_are_found_by_their_cycles():
    design, x = sound()
    loop = "\\qnn_accelerator.compute.sequencer.tiles_x "
    wrong = "before_last <= \\$17 | 8;"
    verilog = mutant("qnn_accelerator.v", loop, "before_last <= \\$17 ;", wrong)
    report = verify(design, x, "rtl", verilog=verilog)
    # They lie outside of the output, and no value is another.
    assert report.mismatches == 0
    pattern = r"instruction \d+ of layer '\w+' ended [\d,]+ cycles late"
    assert re.fullmatch(pattern, report.failure)


@pytest.mark.slow
@pytest.mark.rtl
def test_a_queue_that_keeps_a_store_at_a_reset_is_found_in_all_parts_of_a_run():
    design, x = sound()
    queue = "\\qnn_accelerator.shell.dispatch.store_queue "
    # The first register is the one that says how many it holds.
    verilog = mutant("qnn_accelerator.v", queue, "if (run_rst) begin", "if (1'b0) begin")
    trials = {each.name: each for each in rtl_trials(design.graph, design.artifact, x, None)}
    trial = trials["a network of every kind, reset in all parts"]
    options = {**trial.options, "verilog": verilog, "limit": 20_000}
    # What was kept is half done when the next reset comes, and never ends.
    with pytest.raises(SimulationFailed, match="status 0x1 after a reset"):
        rtl.execute(trial.artifact, trial.inputs, **options)


@pytest.mark.rtl
def test_stalls_are_chosen_by_their_seed():
    design, x = sound()
    cycles = [verify(design, x, "rtl", stalls=seed).run_cycles for seed in (5, 5, 6)]
    assert cycles[0] == cycles[1] != cycles[2]
