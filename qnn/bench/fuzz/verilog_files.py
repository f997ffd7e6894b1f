"""Builds whose Verilog is somebody else's: calls that leave the simulation, behind odd words.

A planted line stands where every simulator reads it as code, whatever comes before it: so a reader
that takes it has skipped what it should not.
"""

import json
import shutil
from pathlib import Path
from random import Random

from qnn.bench.fuzz.mutate import mutated_bytes
from qnn.manifest import digest

FILE = "rtl/fuzz.v"
VALID = """(* keep = "$not_called" *)
module fuzz(clk, a, y);
  // $not_called, `not_read, import
  input clk;
  input signed [3:0] a;
  output reg [7:0] y;
  /* "a string that ends
     with the comment: $not_called */
  wire signed [4:0] wide = $signed({a[3], a});
  wire \\a$not_called"/* ;
  assign \\a$not_called"/* = a[0];
  always @(posedge clk)
    y <= {3'd0, $signed(wide) + 5'sd1};
endmodule
"""
PLANTED = b"qnn_planted"  # in whatever may not be taken
# Lines that begin and end outside of comments and strings, though some readers may think otherwise.
ODD = (
    *(r'localparam A = "\\";', r'localparam B = "\"";', 'localparam C = "/*";', '(* a = "/*" *)'),
    *("/**/", "/***/", "/*/ */", "/*//*/", '/*"*/', r"/* \*/", '/* " */', "/* // */"),
    *('// "', r"// \ "[:-1], "// /*"),
    *(r"wire \x/* ;", r'wire \y" ;', r"wire \z// ;", r"wire \`a ;", r"wire \$not_called ;"),
)
# Each runs a program, reads or writes a file, or takes another function for what it calls.
CALLS = (
    *('initial $system("{}");', 'initial $fdisplay($fopen("{}"), 1);', 'initial $c("{}");'),
    *("initial ${};", r"wire q = $\{} ;", "initial $signed_{}(1);", "initial $$signed({});"),
    *('`include "{}"', "`define {} 1", "`{}", 'import "DPI-C" function void {}();'),
    'localparam D = """{}""";',
)
ENDS = ("\n", "\r\n", "\n\n", "\r")


def altered_verilog(rng: Random, corpus: Path, place: Path) -> Path:
    """A build whose Verilog has a call planted, or any bytes changed; hashes are right."""
    build = Path(shutil.copytree(corpus / "build", place / "build"))
    path = build / FILE
    data = path.read_bytes()
    path.write_bytes(_planted(rng, data) if rng.random() < 0.7 else mutated_bytes(rng, data))
    manifest = build / "manifest.json"
    held = json.loads(manifest.read_bytes())
    held["files"][FILE] = digest(path.read_bytes())
    manifest.write_text(json.dumps(held))
    return build


def _planted(rng, data):
    lines = data.decode().splitlines()
    end = rng.choice(ENDS)
    for _ in range(rng.randrange(4)):
        lines.insert(_outside(rng, lines), rng.choice(ODD))
    if rng.random() < 0.8:
        lines.insert(_outside(rng, lines), rng.choice(CALLS).format(PLANTED.decode()))
    return (end.join(lines) + end).encode()


def _outside(rng, lines):
    """A place behind any line but the one that leaves a comment open."""
    return rng.choice([n + 1 for n, line in enumerate(lines) if "string that ends" not in line])
