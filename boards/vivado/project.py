"""Commands of a project: its sources, its properties, and the runs from sources to a bitstream."""

import re

from boards.tcl import RefusedError
from boards.vivado.commands import Invocation
from boards.vivado.design import RecordedDesign
from boards.vivado.folder import Folder

# The names that Vivado gives to the filesets of a new project.
SOURCES, CONSTRAINTS = "sources_1", "constrs_1"
CLOCK = "clk_pl_0"  # what the processing system's own constraints call its clock
KNOWN = {  # properties that a script may set or get, by what has them
    "project": ("board_part", "target_language"),
    "fileset": ("top",),
    "run": ("PROGRESS", "STATS.WNS", "STATS.WHS"),
    "clock": ("PERIOD",),
}
RESULTS = {"PROGRESS": "100%", "STATS.WNS": "0.100", "STATS.WHS": "0.010"}  # of a run gone well
_COUNT, _FREQUENCY = re.compile(r"\d{1,3}"), re.compile(r"[1-9]\d{0,3}(\.\d+)?")
_ELEMENT = re.compile(r"\{([^{}]*)\}|(\S+)")


class Project:
    """Each method is the command of its name.

    Parameters
    ----------
    board_part : what the installed board files are called
    """

    def __init__(self, design: RecordedDesign, folder: Folder, board_part: str):
        self._design, self._folder, self._board_part = design, folder, board_part
        self._kinds = {SOURCES: "fileset", CONSTRAINTS: "fileset"}
        self._kinds |= {"synth_1": "run", "impl_1": "run"}
        self._name, self._place, self._period_ns = "", "", ""

    def create_project(self, call: Invocation) -> str:
        if "part" not in call.values:
            raise RefusedError("create_project needs -part")
        self._design.part = call.values["part"]
        self._name = call.objects[0]
        self._place = f"{self._folder.path(call.objects[-1])}/{self._name}"
        self._kinds[self._name] = "project"
        return self._name

    def current_project(self, call: Invocation) -> str:
        return self._known(self._name, "project")

    def current_fileset(self, call: Invocation) -> str:
        return SOURCES

    def get_board_parts(self, call: Invocation) -> str:
        # The script asks with stars for any version of the board's files.
        wanted = re.escape(call.objects[0] if call.objects else "*").replace(r"\*", ".*")
        return self._board_part if re.fullmatch(wanted, self._board_part) else ""

    def add_files(self, call: Invocation) -> None:
        fileset = self._known(call.values.get("fileset", SOURCES), "fileset")
        for name in elements(call.objects[0]):
            path = self._folder.path(name)
            if not self._folder.has(path):
                raise RefusedError(f"add_files: there is no {path} in this build")
            # Constraints are not Verilog, and no rule looks into them.
            if fileset == SOURCES:
                self._design.sources.append(path)

    def get_files(self, call: Invocation) -> str:
        if call.objects[0] != f"{self._design.name}.bd":
            raise RefusedError(f"get_files: the project has no '{call.objects[0]}'")
        return call.objects[0]

    def update_compile_order(self, call: Invocation) -> None:
        self._known(call.values.get("fileset", SOURCES), "fileset")

    def make_wrapper(self, call: Invocation) -> str:
        source = call.values.get("files") or "".join(call.objects)
        if source != f"{self._design.name}.bd":
            raise RefusedError(f"make_wrapper: the project has no block design '{source}'")
        path = f"{self._place}.gen/{source.removesuffix('.bd')}_wrapper.v"
        self._folder.written.add(path)
        return f"/{path}"

    def set_property(self, call: Invocation) -> None:
        words = [*elements(call.values.get("dict", "")), *call.objects[:-1]]
        if not words or len(words) % 2:
            raise RefusedError("set_property takes names with values, and one object")
        for name, value in zip(words[::2], words[1::2], strict=True):
            self._set(call.objects[-1], name, value)

    def _set(self, target, name, value):
        if target not in self._design.cells:
            self._property(target, name)
            if name in ("top", "board_part"):
                setattr(self._design, name, value)
            return
        cell = self._design.cells[target]
        key = name.removeprefix("CONFIG.")
        if key == name or key not in cell.block.parameters:
            raise RefusedError(f"set_property: cell '{target}' has no parameter '{name}' here")
        # Numbers are checked by their form alone.
        form = _FREQUENCY if key.endswith("FREQMHZ") else _COUNT
        if cell.block.parameters[key].isdecimal() and not form.fullmatch(value):
            raise RefusedError(f"set_property: '{name}' is a small number, not '{value}'")
        cell.values[key] = value
        if loose := self._design.loose(cell):
            raise RefusedError(f"set_property: {name} {value} takes away {', '.join(loose)}")
        if key.endswith("PL0_REF_CTRL__FREQMHZ"):
            # Three decimals, as Vivado's PERIOD has.
            self._period_ns = f"{1000 / float(value):.3f}"

    def get_property(self, call: Invocation) -> str:
        name, target = call.objects
        self._property(target, name)
        if name == "PERIOD":
            return self._period_ns
        return RESULTS[name] if f"{target} done" in self._design.steps else "0%"

    def _property(self, target, name):
        if name not in KNOWN.get(self._kinds.get(target, ""), ()):
            raise RefusedError(f"'{target}' has no property '{name}' here")

    def launch_runs(self, call: Invocation) -> None:
        for run in call.objects:
            self._known(run, "run")
            if run == "impl_1" and "synth_1 done" not in self._design.steps:
                raise RefusedError("launch_runs: impl_1 needs synth_1, which has not run")
            step = f"{run} launched {call.values.get('to_step', '')}"
            self._design.steps.append(step.strip())

    def wait_on_runs(self, call: Invocation) -> None:
        for run in call.objects:
            launched = [step for step in self._design.steps if step.startswith(f"{run} launched")]
            if not launched:
                raise RefusedError(f"wait_on_runs: {run} has not been launched")
            self._design.steps.append(f"{run} done")
            if launched[-1].endswith("write_bitstream"):
                name = self._design.name
                # What a run that goes to the bitstream leaves in the project's folder.
                self._folder.written |= {
                    f"{self._place}.runs/impl_1/{self._design.top}.bit",
                    f"{self._place}.gen/sources_1/bd/{name}/hw_handoff/{name}.hwh",
                }

    def get_runs(self, call: Invocation) -> str:
        return self._known(call.objects[0], "run")

    def open_run(self, call: Invocation) -> None:
        self._done(call, call.objects[0])
        self._kinds[CLOCK] = "clock"

    def get_clocks(self, call: Invocation) -> str:
        return self._known(call.objects[0], "clock")

    def report_timing_summary(self, call: Invocation) -> None:
        if CLOCK not in self._kinds:
            raise RefusedError(f"{call.name}: no run is open; open_run first")
        if "file" in call.values:
            self._folder.write(call.values["file"])

    # Both write one file and need an open run.
    report_utilization = report_timing_summary

    def write_hw_platform(self, call: Invocation) -> None:
        self._done(call, "impl_1")
        self._folder.write(call.objects[0])

    def _done(self, call, run):
        if f"{run} done" not in self._design.steps:
            raise RefusedError(f"{call.name}: {run} has not run to its end")

    def _known(self, name, kind):
        if self._kinds.get(name) != kind:
            known = ", ".join(sorted(one for one, its in self._kinds.items() if its == kind))
            raise RefusedError(f"no {kind} '{name}'; there is {known or 'none'}")
        return name


def elements(words: str) -> list[str]:
    """The elements of a Tcl list without nested ones."""
    return [braced or bare for braced, bare in _ELEMENT.findall(words)]
