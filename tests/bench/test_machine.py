import platform
import subprocess

import pytest
import torch

from qnn.bench import machine


def test_a_machine_is_what_makes_it_fast_and_no_name():
    found = machine.machine().to_fields()
    assert list(found) == ["cpu", "cores", "gpu", "threads", "torch_version", "python_version"]
    assert found["cpu"]
    assert found["cores"] >= 1
    assert found["threads"] == torch.get_num_threads()
    assert platform.node() not in found.values()


def test_the_cpu_is_named_where_linux_names_it(tmp_path, monkeypatch):
    path = tmp_path / "cpuinfo"
    monkeypatch.setattr(machine, "CPU_INFO", path)
    assert machine.machine().cpu == (platform.processor() or platform.machine())
    path.write_text("processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\nflags\t: a b\n")
    assert machine.machine().cpu == "Some CPU @ 3 GHz"


@pytest.mark.parametrize("error", [FileNotFoundError(), subprocess.TimeoutExpired("git", 20)])
def test_without_git_there_is_no_commit(monkeypatch, error):
    def run(*_, **__):
        raise error

    monkeypatch.setattr(machine.subprocess, "run", run)
    assert machine.commit() is None
