import numpy as np
import pytest

from hw.spec.config import SvpeConfig
from hw.spec.tensors import Layer, TensorLayout
from qnn.backend.execution import LayerCycles
from sim.trace import cycles_by_tag, layer_cycles, layer_tensor, read_traces, stray_writes

CONFIG = SvpeConfig(lanes=4, rows=2, columns=2, activation_bits=8, accumulator_bits=24)


def layer(**changes):
    fields = {
        "name": "conv",
        "channels": (3,),
        "height": 1,
        "width": 2,
        "bits": 8,
        "signed": False,
        "exponent": 0,
        "address": 10,
        "pitch": 2,
        "block_step": 2,
    }
    layout = TensorLayout(**{**fields, **changes})
    return Layer(tag=5, name="conv", op="conv", image=0, output=layout, macs=1)


def traces(tmp_path, text):
    path = tmp_path / "trace.txt"
    path.write_text(text)
    return read_traces(path, CONFIG)


def test_parts_and_offset_make_the_tensor(tmp_path):
    text = """\
I 3 5
W 20 5 10 0 0 0 0000ff80
W 21 5 11 0 0 0 00007f01
W 30 5 10 1 0 0 00050000
W 31 5 11 1 0 0 00060000
D 40
"""
    (trace,) = traces(tmp_path, text)
    written = layer_tensor(trace, layer(), CONFIG)
    assert written.values.tolist() == [[[0, 129]], [[127, 255]], [[133, 134]]]
    assert written.present.all()
    assert written.cycle.tolist() == [[[20, 21]], [[20, 21]], [[30, 31]]]
    assert layer_cycles(trace, 5) == LayerCycles(3, 31)
    assert (trace.end_cycle, trace.timed_out) == (40, False)


def test_passes_make_a_wide_signed_value(tmp_path):
    text = """\
W 7 5 10 0 0 0 000001fe
W 8 5 11 0 0 1 000002ff
W 9 5 12 0 0 2 000080ff
D 10
"""
    wide = layer(channels=(2,), width=1, bits=24, signed=True, passes=3, pass_step=1)
    written = layer_tensor(traces(tmp_path, text)[0], wide, CONFIG)
    assert written.values.tolist() == [[[-2]], [[-(1 << 23) + 0x0201]]]
    assert written.cycle.tolist() == [[[9]], [[9]]]


def test_what_was_not_written_is_not_present(tmp_path):
    text = "W 20 5 10 0 0 0 00000000\nW 21 6 11 0 0 0 00000000\nT 99\n"
    (trace,) = traces(tmp_path, text)
    written = layer_tensor(trace, layer(), CONFIG)
    assert written.present.tolist() == [[[True, False]], [[True, False]], [[False, False]]]
    assert trace.timed_out
    assert layer_cycles(trace, 7) == LayerCycles(None, None)


@pytest.mark.parametrize(("address", "count"), [(9, 1), (10, 0), (11, 0), (12, 1)])
def test_writes_outside_the_tensor_are_counted(tmp_path, address, count):
    (trace,) = traces(tmp_path, f"W 20 5 {address} 0 1 0 00000000\nD 30\n")
    assert stray_writes(trace, layer(), CONFIG) == count


def test_each_run_has_its_own_trace(tmp_path):
    first, second = traces(tmp_path, "I 1 0\nD 5\nI 11 0\nI 12 1\nD 15\n")
    assert first.issue_cycle.tolist() == [1]
    assert second.issue_tag.tolist() == [0, 1]
    np.testing.assert_array_equal(second.write_data.shape, (0, 4))


def test_the_cycles_of_tags_add_up_to_the_run(tmp_path):
    (trace,) = traces(tmp_path, "I 12 0\nI 15 1\nI 20 0\nD 40\n")
    found = cycles_by_tag(trace, 33)
    assert found == {None: 5, 0: 3 + 20, 1: 5}
    assert sum(found.values()) == 33


def test_a_run_without_steps_spent_all_its_cycles_before_the_first(tmp_path):
    (trace,) = traces(tmp_path, "D 40\n")
    assert cycles_by_tag(trace, 33) == {None: 33}
