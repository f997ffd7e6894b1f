"""What ``qnn bench throughput`` prints of results that are there."""

import json
from dataclasses import asdict

from qnn.bench import throughput_cases
from qnn.bench.core_clock import rate_clock
from tests.bench.test_throughput import CASE, SHARED, row


def test_the_table_is_printed_of_what_is_kept_alone(qnn, tmp_path, monkeypatch):
    path = tmp_path / "throughput.jsonl"
    path.write_text(json.dumps(asdict(row(CASE))) + "\n")
    monkeypatch.setattr(throughput_cases, "CASES", (CASE, SHARED))
    code, out, _ = qnn("bench", "throughput", "--markdown", "--out", path)
    assert code == 0
    head, rule, line, empty, *rest = out.splitlines()
    assert head.count("|") == rule.count("|") == line.count("|")
    rate = rate_clock().hertz / 1e6
    # No clock is kept of such a small core.
    clock = f"{rate:.0f} MHz, another core's"
    assert f"| {CASE.name} | 2 | 1,000,000 | 50.0% | {clock} | {rate:,.0f} | 10 |" in line
    assert (empty, len(rest)) == ("", 2)
    code, out, _ = qnn("bench", "throughput", "--only", CASE.name, "--out", path, "--json")
    (fields,) = json.loads(out)
    assert (code, fields["frames_per_second"], fields["own_clock"]) == (0, rate, False)
    code, _, error = qnn("bench", "throughput", "--only", "none", "--out", path)
    assert code == 2
    assert "--only needs the name of a case, or a pattern, but none matches 'none'" in error
