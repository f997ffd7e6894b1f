from dataclasses import replace

import numpy as np
import pytest

from qnn.eda.timing.fit_nets import cross_validate, design, errors_of, fit
from qnn.eda.timing.nets import Curve, Nets
from qnn.eda.timing.paths import read_paths
from qnn.eda.timing.pins import PinKind
from tests.eda.timing.made import path, write

# As measured, and a tenth: the share of errors that a change of the fit may add unseen.
MOST_MEDIAN, MOST_P90 = 0.0432 * 1.1, 0.1168 * 1.1


def made(folder, model, number=120, noise=0.0):
    """Paths of a few designs whose nets take what ``model`` says, read from a file."""
    rng, nets, lines = np.random.default_rng(3), Nets(model), []
    for n in range(number):
        ways = np.column_stack((rng.integers(0, (9, 30), (8, 2)), rng.integers(1, 300, 8)))
        begins = [PinKind.FF_Q, *[PinKind.LUT_O6] * 7]
        ends = [*[PinKind.LUT] * 7, PinKind.FF_D]
        # Through the fabric, wherever the register is.
        alone = nets.delay(*ways.T, begins, ends, direct=False)
        taken = alone * nets.along(alone.sum()) * np.exp(noise * rng.standard_normal(8))
        given = [
            (*way, round(ns, 4)) for way, ns in zip(ways.tolist(), taken.tolist(), strict=True)
        ]
        # From a LUT called B to a register called C, which no slice joins by itself.
        lines.append(path(*given, report=f"out/gemm{n % 5}/report.rpt"))
    return read_paths(write(folder / "paths.jsonl", lines))


@pytest.fixture
def other():
    """A model that is unlike ours."""
    model = Nets.load("-1").model
    return replace(
        model,
        constant=0.5,
        distance=Curve((3.0, 12.0, 48.0), (0.05, 0.02, 0.01, 0.0)),
        loads=Curve((1.0, 3.0, 5.0, 7.0), (0.1, 0.0, 0.02, 0.05, 0.0)),
        effort=replace(model.effort, least_ns=0.1, most_ns=100.0),
    )


def test_a_model_is_found_again_from_its_paths(tmp_path, other):
    paths = made(tmp_path, other)
    # Paths at either end are outside the range for which the fit says what they add to their nets.
    assert np.abs(errors_of(paths, Nets(fit(paths)))[0]).max() < 0.03
    assert np.abs(errors_of(paths, Nets.load("-1"))[0]).min() > 0.1


def test_noise_of_single_nets_is_seen_in_the_interval(tmp_path, other):
    model = fit(made(tmp_path, other, noise=0.3))
    # 1.28 deviations to either side have 80 % between them.
    assert np.log((model.low, model.high)) == pytest.approx((-0.384, 0.384), abs=0.08)


def test_no_design_helps_to_judge_itself(tmp_path, other):
    paths = made(tmp_path, other)
    # One design is twice as slow: only the others can tell what its nets take.
    odd = [each for each in paths if design(each) == "gemm0"]
    slow = [
        replace(
            each,
            ns=2 * each.ns - each.cells_ns,
            nets=tuple(replace(net, ns=2 * net.ns) for net in each.nets),
        )
        for each in odd
    ]
    rest = [each for each in paths if design(each) != "gemm0"]
    errors = cross_validate(slow + rest).signed
    assert np.abs(errors[: len(slow)]).min() > 0.3


def test_designs_are_kernels_whatever_their_run(tmp_path):
    reports = {
        "pldi_results/Nov18-23/all/linear-algebra-3mm/main.rpt": "linear-algebra-3mm",
        "pldi_results/exp9/no-rs/linear-algebra-3mm/main.rpt": "linear-algebra-3mm",
        "pldi_results/scan/systolic-experiments/systolic_4/main.rpt": "systolic",
        "somewhere/else.rpt": "somewhere",
    }
    lines = [path((1, 1, 1, 0.2), report=report) for report in reports]
    assert [design(each) for each in read_paths(write(tmp_path / "p", lines))] == [
        *reports.values()
    ]


def test_paths_of_designs_that_were_left_out_are_estimated(timing_data):
    paths = [p for p in read_paths(timing_data / "routed_paths.jsonl.gz") if p.speed == "-1"]
    errors = cross_validate(paths)
    told = f"{len(paths)} paths: median {errors.median:.4f}, 90th percentile {errors.p90:.4f}"
    print(told)
    assert errors.median < MOST_MEDIAN, told
    assert errors.p90 < MOST_P90, told
    held, found = Nets.load("-1").model, fit(paths)
    for name in ("path_low", "path_high"):
        found = replace(found, **{name: getattr(held, name)})
    assert found == held
