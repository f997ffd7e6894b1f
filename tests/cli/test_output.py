"""What the command prints stands there as it was given."""

import io

import pytest

from qnn.cli.output import print_table, progress

NAMES = ("net[bold]x[/bold]", "a[/]", "[on]b[3]", "core:on:b", "x\\[y]")


@pytest.mark.parametrize("name", NAMES)
def test_a_table_prints_names_as_they_are(capsys, name):
    print_table(name, (name,), [(f"a longer cell with {name}",)])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == [name, name, f"a longer cell with {name}"]


@pytest.mark.parametrize("name", NAMES)
def test_a_bar_is_named_as_it_is(monkeypatch, name):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    shown = Terminal()
    monkeypatch.setattr("sys.stderr", shown)
    monkeypatch.setenv("TERM", "xterm")
    with progress(name) as report:
        report(1, 2)
    assert name in shown.getvalue()
