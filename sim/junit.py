"""A verification report as JUnit XML: one test case for each layer and image."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path

from qnn.errors import DeviceError
from qnn.files import write_whole
from sim.verification import LayerReport, Report, of_results

SUITE = "qnn verify"
KINDS = ("failure", "error")  # of a case: values differ, or nothing could be compared


def write_junit(report: Report, path: str | Path) -> None:
    """Write ``report`` for a CI service.

    Raises
    ------
    DeviceError
        The file cannot be written.
    """
    _write(junit(report), path)


def write_junit_of_all(reports: Mapping[str, Report], path: str | Path) -> None:
    """Write the reports of several builds, by name, as a suite each.

    Raises
    ------
    DeviceError
        The file cannot be written.
    """
    suites = [_suite(_cases(report), f"{SUITE} {name}") for name, report in reports.items()]
    _write(_text(suites), path)


def write_error(kind: str, message: str, path: str | Path) -> None:
    """Write for a CI service that an error of ``kind`` kept anything from being compared.

    Raises
    ------
    DeviceError
        The file cannot be written.
    """
    run = ElementTree.Element("testcase", classname=SUITE, name="run")
    ElementTree.SubElement(run, "error", type=kind, message=_readable(message))
    _write(_text([_suite([run], SUITE)]), path)


def _write(text, path):
    try:
        write_whole(Path(path), text)
    except OSError as error:
        raise DeviceError(
            f"{path}: a JUnit report needs a writable place, but got '{error.strerror}'; "
            f"choose another with --junit"
        ) from None


def junit(report: Report) -> str:
    """The text of the JUnit report of ``report``."""
    return _text([_suite(_cases(report), SUITE)])


def _cases(report):
    cases = [_case(layer, report.device) for layer in report.layers]
    for name, trial in report.trials:
        cases += [_case(layer, f"{report.device}, {name}") for layer in trial.layers]
        # As of the plain run below: its end is a case of its own.
        cases.append(_end(trial, f"{SUITE}.{report.device}, {name}"))
    # The run itself is a case, so that one without any layer fails, too.
    cases.insert(0, _end(report, SUITE))
    return cases


def _suite(cases, name):
    found = {kind: sum(case.find(kind) is not None for case in cases) for kind in KINDS}
    suite = ElementTree.Element(
        "testsuite",
        name=_readable(name),
        tests=str(len(cases)),
        failures=str(found["failure"]),
        errors=str(found["error"]),
    )
    suite.extend(cases)
    return suite


def _text(suites):
    root = ElementTree.Element("testsuites")
    root.extend(suites)
    # A person may have to read it.
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _readable(text):
    """``text`` without what XML cannot hold, not even escaped: most control characters."""
    return "".join(
        c if c.isprintable() or c in "\t\n" else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def _end(report: Report, name: str):
    run = ElementTree.Element("testcase", classname=name, name="run")
    if report.failure or not report.values_compared:
        text = report.failure or "no value was compared"
        ElementTree.SubElement(run, "failure", message=text).text = str(report)
    return run


def _case(layer: LayerReport, device: str):
    name = f"{layer.name}{of_results(layer.results)} ({layer.op}), image {layer.image}"
    case = ElementTree.Element("testcase", classname=f"{SUITE}.{device}", name=name)
    if not layer.passed:
        parts = [f"{layer.mismatches}/{layer.values} mismatches", layer.problem, layer.first]
        text = "; ".join(str(part) for part in parts if part)
        ElementTree.SubElement(case, "failure", message=text)
    return case
