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


def test_no_cell_is_cut_where_no_terminal_shows_the_table(capsys):
    rows = [[f"{n} " + "terms=1," * 20, "x" * 300] for n in range(3)]
    print_table("t", ("terms", "hardware"), rows)
    lines = capsys.readouterr().out.splitlines()[2:]
    assert [line.split() for line in lines] == [[*a.split(), b] for a, b in rows]
