"""A build folder's sources for tests: Verilog as short as the check of a project needs it."""

from hw.interfaces import BUSES, annotated

PORTS = {
    "m_axi": [
        ("output", 40, "awaddr"),
        ("output", 40, "araddr"),
        ("output", 64, "wdata"),
        ("input", 64, "rdata"),
    ],
    "s_axi": [("input", 12, "awaddr"), ("input", 12, "araddr"), ("input", 32, "wdata")],
}


def top() -> str:
    """``qnn_accelerator`` with some of its ports, and an instance of its element."""
    ports = [("input", 1, "clk"), ("input", 1, "rst"), ("output", 1, "irq")]
    ports += [(way, bits, f"{bus}_{name}") for bus in BUSES for way, bits, name in PORTS[bus]]
    lines = [f"module qnn_accelerator({', '.join(name for *_, name in ports)});"]
    for way, bits, name in ports:
        width = f"[{bits - 1}:0] " if bits > 1 else ""
        lines += [f"  {way} {width}{name};", f"  wire {width}{name};"]
    lines += ["  qnn_pe  one (", "    .clk(clk)", "  );", "endmodule", ""]
    return annotated("\n".join(lines), "qnn_accelerator")


def sources() -> dict[str, bytes]:
    """Path to content."""
    element = b"module qnn_pe(clk);\n  input clk;\nendmodule\n"
    return {
        "rtl/qnn_accelerator.v": top().encode(),
        "rtl/qnn_pe.v": element,
        "rtl/ultrascale/qnn_pe.v": element,
    }
