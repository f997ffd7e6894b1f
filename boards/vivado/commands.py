"""The commands of Vivado that a project here may use, and what each accepts.

Source: AMD UG835, "Vivado Design Suite Tcl Command Reference Guide", as of 2021.2 to 2025.2, for
create_bd_cell, launch_runs, wait_on_runs, make_wrapper, write_hw_platform, connect_bd_net,
connect_bd_intf_net, assign_bd_address, exclude_bd_addr_seg, get_bd_addr_segs, report_timing_summary
and update_compile_order. No page of it was at hand for the others, whose options are those that
public projects use.
"""

from dataclasses import dataclass

from boards.tcl import RefusedError

EVERYWHERE = ("quiet", "verbose")


@dataclass(frozen=True)
class Command:
    """Options with a value, options without, and how many objects may follow."""

    valued: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    least: int = 0
    most: int = 1

    @property
    def options(self) -> tuple[str, ...]:
        return tuple(sorted((*self.valued, *self.flags, *EVERYWHERE)))


@dataclass(frozen=True)
class Invocation:
    """A command as a script gave it."""

    name: str
    values: dict[str, str]
    flags: frozenset[str]
    objects: tuple[str, ...]


_GET = Command(("filter", "of_objects"), ("hierarchical", "regexp"))
# Only what a project here uses: a command that is missing is refused, and then looked up.
COMMANDS = {
    "create_project": Command(("part",), ("force", "in_memory"), 1, 2),
    "current_project": Command(),
    "current_fileset": Command(("constrset", "simset"), (), 0, 1),
    "get_board_parts": Command(("filter",), ("regexp", "latest_file_version"), 0, 1),
    "set_property": Command(("dict", "name", "value", "objects"), (), 1, 3),
    "get_property": Command(("min", "max"), (), 2, 2),
    "add_files": Command(("fileset", "of_objects"), ("norecurse", "scan_for_includes"), 1, 1),
    "get_files": Command(("filter", "of_objects"), ("all", "regexp"), 1, 1),
    "update_compile_order": Command(("fileset",), ("force_gui",), 0, 0),
    "create_bd_design": Command(("dir", "cell"), ("bdsource",), 1, 1),
    "create_bd_cell": Command(("vlnv", "type", "reference", "revision"), (), 1, 1),
    "apply_bd_automation": Command(("rule", "config"), (), 1, 1),
    "get_bd_cells": _GET,
    "get_bd_pins": _GET,
    "get_bd_intf_pins": _GET,
    "get_bd_addr_spaces": _GET,
    "get_bd_addr_segs": Command(
        _GET.valued,
        (*_GET.flags, "excluded", "addressed", "unaddressed", "addressing", "addressables"),
    ),
    "connect_bd_net": Command(("net", "boundary_type"), (), 2, 64),
    "connect_bd_intf_net": Command(("intf_net", "boundary_type"), (), 2, 3),
    "assign_bd_address": Command(
        (
            *("target_address_space", "dict", "import_from_file", "export_to_file"),
            *("export_gui_to_file", "offset", "range", "base_high"),
        ),
        ("boundary", "master_boundary", "external", "force"),
    ),
    "exclude_bd_addr_seg": Command(("target_address_space", "offset", "range"), (), 1, 1),
    "validate_bd_design": Command((), ("force", "design", "include_pfm")),
    "save_bd_design": Command(),
    "make_wrapper": Command(
        ("files", "fileset"), ("top", "testbench", "inst_template", "import", "force")
    ),
    "launch_runs": Command(
        (
            *("jobs", "lsf", "sge", "cluster_configuration", "dir", "to_step", "host"),
            *("remote_cmd", "email_to", "pre_launch_script", "post_launch_script"),
            "custom_script",
        ),
        ("scripts_only", "next_step", "email_all", "force"),
        1,
        8,
    ),
    "wait_on_runs": Command(("timeout", "exit_condition"), (), 1, 8),
    "get_runs": Command(("filter",), ("regexp",), 1, 1),
    "open_run": Command(("name",), (), 1, 1),
    "get_clocks": Command(("filter", "of_objects"), ("regexp",), 1, 1),
    "report_timing_summary": Command(
        (
            *("delay_type", "max_paths", "nworst", "path_type", "slack_lesser_than"),
            *("significant_digits", "file", "name", "cells", "rpx", "inter_slr"),
        ),
        (
            *("check_timing_verbose", "no_detailed_paths", "setup", "hold", "unique_pins"),
            *("no_reused_label", "input_pins", "no_pr_attribute", "no_pblock", "routable_nets"),
            *("report_unconstrained", "no_header", "append", "return_string", "datasheet"),
            "warn_on_violation",
        ),
        0,
        0,
    ),
    "report_utilization": Command(
        ("file", "hierarchical_depth", "cells", "name"), ("hierarchical", "append"), 0, 0
    ),
    "write_hw_platform": Command(
        ("rp", "rm"),
        (
            *("fixed", "force", "include_bit", "include_sim_content", "minimal", "hw", "hw_emu"),
            "static",
        ),
        1,
        1,
    ),
}


def parse(words: list[str]) -> Invocation:
    """The call that ``words`` are.

    Raises
    ------
    RefusedError
        No such command, or not its options.
    """
    name, *rest = words
    if name not in COMMANDS:
        # In Tcl's own words, as Vivado would say it.
        raise RefusedError(f"invalid command name '{name}'")
    command = COMMANDS[name]
    values, flags, objects = {}, set(), []
    while rest:
        word = rest.pop(0)
        option = word.removeprefix("-")
        # A negative number or a lone dash is an object, not an option.
        if not word.startswith("-") or not option[:1].isalpha():
            objects.append(word)
        elif option in command.valued:
            if not rest:
                raise RefusedError(f"{name} {word} needs a value")
            values[option] = rest.pop(0)
        elif option in (*command.flags, *EVERYWHERE):
            # Abbreviated options, which Vivado takes, are refused: scripts here spell them out.
            flags.add(option)
        else:
            known = ", ".join(f"-{known}" for known in command.options)
            raise RefusedError(f"{name} has no option {word}; it has {known}")
    if not command.least <= len(objects) <= command.most:
        raise RefusedError(
            f"{name} takes {command.least} to {command.most} objects, not {len(objects)}"
        )
    return Invocation(name, values, frozenset(flags), tuple(objects))
