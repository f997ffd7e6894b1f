import fcntl
import os
import pty
import re
import threading
from dataclasses import replace

import numpy as np
import pytest

from boards import named, project_of
from boards.ecp5.design import verilog
from boards.ecp5.facts import constraints
from boards.ecp5.host import SerialBoard, checked, main
from boards.ecp5.memory import bases, memory_bytes
from hw.spec.config import named_config
from hw.spec.registers import Error, Status
from hw.spec.serial import ANSWER, PATIENCE_BITS, SUM, answer_bytes, digest, exchange_sum
from qnn.errors import CompileError, DeviceError
from qnn.ir.reference import reference
from qnn.runtime.tensors import pack_inputs, unpack_outputs
from sim import functional
from sim.functional import FunctionalDevice
from sim.serial_line import Pins, exchange
from tests.boards.ecp5.fake import FakeBoard, head, summed
from tests.boards.tiny import tiny_design

DIVISOR = 4  # of the serial line, so that a simulation is short
RUN_CYCLES = 20_000
FACTS = named("ulx3s").facts
X = np.random.default_rng(1).integers(0, 256, (3, 1, 4, 4))


NAMES = ("qnn_ulx3s.v", "qnn_pe.v", "ulx3s.lpf", "build.sh", "README.md")


def board_files(design):
    built = {"image.bin": design.artifact.to_bytes()}
    return named("ulx3s").files(design.config, built, 1)


@pytest.fixture(scope="module")
def design():
    return tiny_design()


@pytest.fixture(scope="module")
def files(design):
    """The board's files of ``design``: the Verilog takes seconds."""
    return board_files(design)


def run_in_rtl(image, sources, *, agrees=True, **options):
    """Outputs of ``X``, and the answers' heads; ``agrees``: whether all have the right sum."""
    inputs = [row.tobytes() for row in pack_inputs(image, X)]
    answers = exchange(
        sources,
        FACTS.top,
        Pins(FACTS.clock, FACTS.receives, FACTS.sends),
        inputs,
        answer_bytes=answer_bytes(image.output_bytes),
        clock_hz=FACTS.clock_hz,
        divisor=DIVISOR,
        limit_cycles=RUN_CYCLES,
        **options,
    )
    sums = [SUM.unpack(answer[-SUM.size :])[0] for answer in answers]
    answers = [answer[: -SUM.size] for answer in answers]
    right = [exchange_sum(*pair) for pair in zip(inputs, answers, strict=True)]
    assert (sums == right) is agrees
    regions = np.stack([np.frombuffer(answer[ANSWER.size :], np.uint8) for answer in answers])
    (outputs,) = unpack_outputs(image, regions, len(X))
    return outputs, [ANSWER.unpack_from(answer) for answer in answers]


@pytest.mark.rtl
@pytest.mark.parametrize("bus_bits", [64, 128])
def test_the_board_answers_what_the_reference_computes(bus_bits):
    design = tiny_design(bus_bits)
    sources = verilog(FACTS, design.artifact, divisor=DIVISOR)
    outputs, heads = run_in_rtl(design.artifact, sources)
    np.testing.assert_array_equal(outputs, reference(design.graph, X)["last"])
    name = digest(design.artifact.payload)
    assert all(head[1:] == (Status.DONE | Status.INTERRUPT, 0, name) for head in heads)
    assert all(0 < head[0] < RUN_CYCLES for head in heads)


@pytest.mark.rtl
def test_an_input_that_stops_half_way_is_forgotten(design):
    sources = verilog(FACTS, design.artifact, divisor=DIVISOR)
    expected = reference(design.graph, X)["last"]
    patience = PATIENCE_BITS * DIVISOR
    options = {"abandoned": b"\xff" * 11, "pause_cycles": patience + 100}
    np.testing.assert_array_equal(run_in_rtl(design.artifact, sources, **options)[0], expected)
    options["pause_cycles"] = patience // 2  # the board still waits for the rest
    # Its bytes are the first of the input, whose answer the sum gives away.
    outputs, _ = run_in_rtl(design.artifact, sources, agrees=False, **options)
    assert (outputs != expected).any()


@pytest.mark.rtl
def test_a_run_that_fails_is_answered_with_its_error(design):
    payload = bytearray(design.artifact.payload)
    payload[0] |= 0xF  # an operation code that does not exist
    image = replace(design.artifact, payload=bytes(payload))
    _, heads = run_in_rtl(image, verilog(FACTS, image, divisor=DIVISOR))
    failed = Status.DONE | Status.FAILED | Status.INTERRUPT
    assert [head[1:3] for head in heads] == [(failed, Error.INSTRUCTION)] * len(X)


@pytest.mark.rtl
def test_a_flipped_bit_in_the_boards_memory_changes_the_answer(design):
    expected = reference(design.graph, X)["last"]
    flipped = next(
        image
        for image in one_bit_flipped(design.artifact)
        if (functional.run(image, X).outputs[0] != expected).any()
    )
    outputs, _ = run_in_rtl(flipped, verilog(FACTS, flipped, divisor=DIVISOR))
    assert (outputs != expected).any()
    np.testing.assert_array_equal(outputs, functional.run(flipped, X).outputs[0])


def one_bit_flipped(image):
    """The image with a bit of weights or parameters flipped, one after the other."""
    for place in range(image.program_bytes, len(image.payload)):
        payload = bytearray(image.payload)
        payload[place] ^= 0b100
        yield replace(image, payload=bytes(payload))


def test_regions_follow_one_another_in_pages(design):
    image, where = design.artifact, bases(design.artifact)
    assert (where.image, where.input, where.output, where.scratch) == (0, 4096, 8192, 12288)
    assert len(image.payload) <= 4096
    assert memory_bytes(image) == 12288


def test_the_board_folder_is_the_same_bytes_each_time(design, files):
    assert board_files(design) == files
    assert {f"ulx3s/{name}" for name in NAMES} <= files.keys()
    assert b"--router router2" in files["ulx3s/build.sh"]
    assert b"115,200 baud" in files["ulx3s/README.md"]


def test_each_port_of_the_top_has_its_pin(files):
    text = files["ulx3s/qnn_ulx3s.v"].decode()
    start = text.index(f"module {FACTS.top}(")
    ports = text[start : text.index(");", start)].partition("(")[2].split(",")
    assert {port.strip() for port in ports} == {pin.port.partition("[")[0] for pin in FACTS.pins}
    assert constraints(FACTS).count("LOCATE") == len(FACTS.pins) == 13
    assert 'LOCATE COMP "clk_25mhz" SITE "G2" ;' in constraints(FACTS)
    assert 'FREQUENCY PORT "clk_25mhz" 25.000000 MHz ;' in constraints(FACTS)


def test_a_network_larger_than_the_chips_block_ram_is_refused(design):
    large = replace(design.artifact, payload=bytes(400_000))
    with pytest.raises(
        CompileError,
        match=r"^ulx3s: the network's 409,600 bytes take 200 block RAMs and the buffers of 4x2x1 "
        r"\(lanes x rows x columns\), 3-bit weights, 8-bit activations about 14, but an ECP5-85 "
        r"has 208; choose a smaller network or --config, or --set feature_words$",
    ):
        named("ulx3s").files(large.config, {"image.bin": large.to_bytes()}, 1)


@pytest.mark.parametrize(
    ("sizes", "cores", "clock_mhz", "text"),
    [
        ({}, 2, None, "the board's design has 1 core, but 2 were asked for"),
        (
            {},
            1,
            50,
            "the board's clock has 25 MHz, but 50 MHz were asked for; leave out --clock-mhz",
        ),
        (
            {"feature_words": 1 << 15},
            1,
            None,
            r"the buffers of 16x16x8 \(lanes x rows x columns\), 3-bit weights, 8-bit activations "
            r"need about 448 block RAMs, but an ECP5-85 has 208; choose a smaller --config, or "
            r"--set feature_words",
        ),
    ],
)
def test_what_the_board_has_not_is_refused(sizes, cores, clock_mhz, text):
    with pytest.raises(CompileError, match=f"^ulx3s: {text}$"):
        named("ulx3s").check_fits(named_config("reference", **sizes), cores, clock_mhz)


def test_the_default_configuration_fits():
    board = named("ulx3s")
    config = named_config(board.config)
    board.check_fits(config, 1, 25)
    assert board.summary(config, 1) == (
        "ulx3s at 25 MHz: about 36 of 208 block RAMs for buffers (estimated); not run in nextpnr: "
        "qnn synth BUILD --board ulx3s"
    )


def test_pins_that_do_not_agree_are_found(files, tmp_path):
    for name, data in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    board, texts = project_of(tmp_path)
    assert board.name == "ulx3s"
    assert board.findings(texts) == []
    pins = texts["ulx3s/ulx3s.lpf"]
    pins = pins.replace('"led[3]" SITE "D2"', '"led[3]" SITE "D7"').replace("wifi_gpio0", "wifi")
    assert board.findings(texts | {"ulx3s/ulx3s.lpf": pins}) == [
        "ulx3s/ulx3s.lpf: port wifi_gpio0 has no pin",
        "ulx3s/ulx3s.lpf: wifi is no port of qnn_ulx3s",
        "ulx3s/ulx3s.lpf: led[3] is on D7, but the board has it on D2",
    ]
    del texts["ulx3s/ulx3s.lpf"]
    assert board.findings(texts) == ["ulx3s/ulx3s.lpf: missing; compile the model again"]


def test_a_module_that_is_not_the_one_that_is_simulated_is_found(files):
    texts = {name: data.decode() for name, data in files.items() if name.endswith((".v", ".lpf"))}
    same = {"rtl/qnn_pe.v": texts["ulx3s/qnn_pe.v"]}
    board = named("ulx3s")
    assert board.findings(texts | same) == []
    assert board.findings(texts | {"rtl/qnn_pe.v": "module qnn_pe; endmodule\n"}) == [
        "ulx3s/qnn_pe.v: differs from rtl/qnn_pe.v, which is what 'qnn verify' simulates; compile "
        "the model again"
    ]


def test_the_host_sends_packed_inputs_and_takes_the_answers(design, tmp_path, capsys):
    image = design.artifact
    board = FakeBoard(image)
    board.start()
    image.write(tmp_path / "image.bin")
    reals = X.transpose(0, 2, 3, 1) / 16  # the network has no table of pixels; its step is 1/16
    np.save(tmp_path / "x.npy", reals)
    paths = [str(tmp_path / name) for name in ("image.bin", "x.npy", "y.npz")]
    main([*paths, "--port", board.path])
    assert capsys.readouterr().out == "3 images, 410, 410, 410 cycles each run\n"
    assert board.got == [row.tobytes() for row in pack_inputs(image, X)]
    expected = reference(design.graph, X)["last"]
    with np.load(tmp_path / "y.npz") as outputs:
        np.testing.assert_array_equal(outputs["arr_0"].reshape(expected.shape), expected)
        assert outputs["cycles"].tolist() == [410] * 3


def test_images_of_another_shape_are_refused_in_one_line(design, tmp_path, capsys):
    design.artifact.write(tmp_path / "image.bin")
    np.save(tmp_path / "x.npy", np.zeros((2, 5, 4, 1)))
    paths = [str(tmp_path / name) for name in ("image.bin", "x.npy", "y.npz")]
    with pytest.raises(SystemExit) as exit_:
        main([*paths, "--port", "/dev/null"])
    assert exit_.value.code == 3
    assert capsys.readouterr().err.startswith("error: input 'x' needs images of shape (N, 4, 4, 1)")


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (
            {"name": b"\1" * 8},
            "the board holds network 0101010101010101, but the image is {digest}; load the "
            "bitstream of this build",
        ),
        (
            {"status": Status.DONE | Status.FAILED, "error": Error.READ},
            "the run failed with error READ; press FIRE 1 and try again, or load the bitstream "
            "again",
        ),
        (
            {"status": Status.DONE | Status.FAILED, "error": 77},
            "the run failed with error 77; press FIRE 1 and try again, or load the bitstream again",
        ),
        (
            {"status": Status.BUSY},
            "the run failed with error NONE; press FIRE 1 and try again, or load the bitstream "
            "again",
        ),
    ],
)
def test_the_host_refuses_other_answers(design, said, text):
    image = design.artifact
    board = FakeBoard(image, head(image, **said) + bytes(image.output_bytes))
    board.start()
    text = text.format(digest=digest(image.payload).hex())
    with pytest.raises(DeviceError, match=f"^{board.path}: {text}$"):
        SerialBoard(board.path, FACTS.button_label).run(image, pack_inputs(image, X[:1]))


def test_an_answer_to_another_input_is_refused(design):
    image = design.artifact
    data, other = (row.tobytes() for row in pack_inputs(image, X[:2]))
    stale = head(image) + bytes(image.output_bytes)
    board = FakeBoard(image, summed(other, stale), raw=True)
    board.start()
    got, wanted = exchange_sum(other, stale), exchange_sum(data, stale)
    text = (
        f"{board.path}: the answer's checksum is {got:08x}, but that of what was sent and came is "
        f"{wanted:08x}: it answers another input, or the line changed a byte; try again, with one "
        f"program at a time"
    )
    with pytest.raises(DeviceError, match=f"^{re.escape(text)}$"):
        SerialBoard(board.path).run(image, pack_inputs(image, X[:1]))


def test_no_flipped_bit_of_an_exchange_gives_outputs(design):
    image = design.artifact
    (data,) = (row.tobytes() for row in pack_inputs(image, X[:1]))
    whole = summed(data, head(image) + functional_output(image, data))
    for place in range(8 * len(whole)):
        answer = bytearray(whole)
        answer[place // 8] ^= 1 << place % 8
        with pytest.raises(DeviceError):
            checked(image, data, bytes(answer), "port")
    checked(image, data, whole, "port")


def functional_output(image, data):
    return FunctionalDevice().run(image, np.frombuffer(data, np.uint8)[None]).outputs.tobytes()


def test_a_connector_that_is_pulled_is_one_line(design):
    ours, theirs = pty.openpty()
    path = os.ttyname(theirs)
    threading.Timer(0.2, lambda: (os.close(ours), os.close(theirs))).start()
    with pytest.raises(DeviceError) as error:
        SerialBoard(path).run(design.artifact, pack_inputs(design.artifact, X[:1]))
    assert str(error.value) == (
        f"{path}: the serial port is gone (Input/output error); connect the board again"
    )


def test_a_port_that_another_program_uses_is_one_line(design):
    board = FakeBoard(design.artifact)
    with open(board.path, "rb+", buffering=0) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DeviceError) as error:
            SerialBoard(board.path).run(design.artifact, pack_inputs(design.artifact, X[:1]))
    assert str(error.value) == (
        f"{board.path}: another driver has {board.path}, in this process or another one; close it, "
        f"or end its process"
    )


def test_no_inputs_have_no_answers(design):
    image, board = design.artifact, FakeBoard(design.artifact)
    run = SerialBoard(board.path).run(image, np.zeros((0, image.input_bytes), np.uint8))
    assert (run.outputs.shape, run.cycles) == ((0, image.output_bytes), ())


def test_the_host_tells_a_silent_board(design, monkeypatch):
    monkeypatch.setattr("boards.ecp5.host.PATIENCE_SECONDS", 0.1)
    image = design.artifact
    board = FakeBoard(image, b"\0\0", raw=True)
    board.start()
    with pytest.raises(
        DeviceError,
        match=rf"^{board.path}: an answer needs {answer_bytes(image.output_bytes)} bytes, but 2 "
        rf"came in 0 seconds; load the bitstream, and check the port$",
    ):
        SerialBoard(board.path).run(image, pack_inputs(image, X[:1]))


def test_a_file_that_is_no_serial_port_is_one_line(tmp_path):
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(DeviceError, match=r"file: the board answers on a serial port, but this is"):
        SerialBoard(str(path)).run(None, np.zeros((1, 1), np.uint8))
