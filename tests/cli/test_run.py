"""``qnn run`` on a board that is software, and on the simulated Verilog."""

import json

import numpy as np
import pytest

import boards
from hw.spec.image import Image
from qnn.report import records
from tests.boards.ecp5.fake import FakeBoard as SerialBoard
from tests.runtime.board import FakeBoard
from tests.runtime.served import served

SERIAL = boards.reference("ecp5").name


@pytest.fixture
def device(build):
    with served(FakeBoard(Image.read(build / "image.bin"))) as uri:
        yield uri


def test_a_board_gives_what_the_simulators_give(qnn, build, device, tmp_path):
    board, simulated = tmp_path / "board.npz", tmp_path / "simulated.npz"
    code, text, err = qnn("run", build, "--device", device, "--images", 5, "-o", board, "--json")
    assert (code, err) == (0, "")
    result = json.loads(text)
    assert (result["device"], result["images"]) == (device, 5)
    arguments = ("--device", "functional", "--images", 5, "-o", simulated, "--json")
    expected = json.loads(qnn("simulate", build, *arguments)[1])
    assert result["accuracy"] == expected["accuracy"]
    assert np.array_equal(np.load(board)["fc"], np.load(simulated)["fc"])
    text = qnn("run", build, "--device", device, "--images", 5)[1]
    assert text.startswith(f"{device}: 5 images in ")
    assert text.endswith(f", {result['accuracy']:.2f} % right\n")


def test_a_device_of_no_known_form_is_wrong_usage(qnn, build):
    code, out, err = qnn("run", build, "--device", "board")
    assert (code, out) == (2, "")
    assert "device must be pynq:FILE.bit" in err
    assert err.endswith(f"rtl://HOST:PORT, not 'board'; or give rtl: or {SERIAL}:PORT\n")


def test_a_device_that_is_not_there_is_one_line(qnn, build):
    code, out, err = qnn("run", build, "--device", "rtl://127.0.0.1:1")
    assert (code, out) == (3, "")
    assert err == (
        "error: rtl://127.0.0.1:1: no simulation answers there (Connection refused); start one, "
        "or correct host and port\n"
    )


def test_a_serial_board_gives_what_the_simulators_give(qnn, build, tmp_path):
    board = SerialBoard(Image.read(build / "image.bin"))
    board.start()
    answers, simulated = tmp_path / "board.npz", tmp_path / "simulated.npz"
    arguments = ("--device", f"{SERIAL}:{board.path}", "--images", 3, "-o", answers)
    code, text, err = qnn("run", build, *arguments)
    assert (code, err) == (0, "")
    assert text.startswith(f"{SERIAL}:{board.path}: 3 images in ")
    kept = records.read(build)[f"run_{SERIAL}"].values
    assert kept["given_images"] == 3
    assert f", {kept['measured_accuracy_percent']:.2f} % right" in text
    qnn("simulate", build, "--device", "functional", "--images", 3, "-o", simulated)
    assert np.array_equal(np.load(answers)["fc"], np.load(simulated)["fc"])


def test_a_serial_port_that_is_not_there_is_one_line(qnn, build):
    code, out, err = qnn("run", build, "--device", f"{SERIAL}:/dev/nothing")
    assert (code, out) == (3, "")
    assert err == "error: /dev/nothing: No such file or directory\n"


@pytest.mark.rtl
def test_the_simulated_verilog_is_a_device(qnn, build, tmp_path):
    rtl, simulated = tmp_path / "rtl.npz", tmp_path / "simulated.npz"
    code, _, err = qnn("run", build, "--device", "rtl:", "--images", 3, "-o", rtl)
    assert (code, err) == (0, "")
    qnn("simulate", build, "--device", "functional", "--images", 3, "-o", simulated)
    assert np.array_equal(np.load(rtl)["fc"], np.load(simulated)["fc"])
