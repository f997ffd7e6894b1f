"""What a command says while others build for it: on a terminal, and never beside JSON."""

import logging
import sys

import pytest

from qnn.errors import ToolError
from sim import runner

LINE = "compiling simulator qnn_testbench, which is kept for the next time\n"
ERROR = "error: stopped here\n"


@pytest.fixture
def stopping(tmp_path, monkeypatch):
    """A cold cache, and a compiler that stops when it is called."""

    def compile_(*_):
        raise ToolError("stopped here")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(runner, "_check_tools", lambda *_: None)
    monkeypatch.setattr(runner, "_compile", compile_)


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("option", [(), ("--json",)])
def test_a_simulator_that_is_compiled_is_told_on_a_terminal_alone(
    qnn, build, stopping, monkeypatch, terminal, option
):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    code, _, err = qnn("simulate", build, "--device", "rtl", *option)
    assert (code, err.endswith(ERROR)) == (3, True)
    assert (LINE in err) == (terminal and not option)
    if not terminal:
        assert err == ERROR


def test_nothing_is_left_of_the_lines_behind_a_command(qnn, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    log = logging.getLogger("sim")
    before = log.level, list(log.handlers)
    qnn("version")
    assert (log.level, log.handlers) == before
