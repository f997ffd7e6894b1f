"""Routed paths that are made up, as files of JSON lines hold them."""

import gzip
import json
from pathlib import Path


def path(*nets, report="design/report.rpt", speed="-1", cell_ns=0.1):
    """A path of LUTs behind a register; ``nets`` are (dx, dy, fan_out, ns)."""
    x, y, hops = 10, 20, [cell("Prop_AFF_SLICEL_C_Q", 0.096, 10, 20)]
    for number, (dx, dy, fan_out, ns) in enumerate(nets, 1):
        begin, x, y = ["SLICE", x, y], x + dx, y + dy
        ends = {"from": begin, "to": ["SLICE", x, y]}
        hops.append({"net": fan_out, "state": "routed", "ns": ns, **ends})
        if number < len(nets):
            hops.append(cell("Prop_B6LUT_SLICEM_I2_O", cell_ns, x, y))
    total = sum(hop["ns"] for hop in hops)
    return {
        **{"source": "made up", "report": report, "device": "xczu3eg", "speed": speed},
        **{"data_path_ns": round(total, 3), "setup": ["Setup_CFF_SLICEL_C_D", 0.027]},
        "hops": hops,
    }


def cell(arc, ns, x, y):
    return {"cell": arc, "ns": ns, "at": ["SLICE", x, y]}


def write(file: Path, lines, packed=False) -> Path:
    """A file of ``lines``, each JSON's value or text as it stands."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    data = "".join(f"{text}\n" for text in texts).encode()
    file.write_bytes(gzip.compress(data) if packed else data)
    return file
