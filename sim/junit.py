"""A verification report as JUnit XML: one test case for each layer and image."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from qnn.errors import DeviceError
from sim.verification import LayerReport, Report

SUITE = "qnn verify"


def write_junit(report: Report, path: str | Path) -> None:
    """Write ``report`` for a CI service.

    Raises
    ------
    DeviceError
        The file cannot be written.
    """
    try:
        Path(path).write_text(junit(report))
    except OSError as error:
        raise DeviceError(
            f"{path}: a JUnit report needs a writable place, but got '{error.strerror}'; "
            f"choose another with --junit"
        ) from None


def junit(report: Report) -> str:
    """The text of the JUnit report of ``report``."""
    cases = [_case(layer, report.device) for layer in report.layers]
    run = ElementTree.Element("testcase", classname=SUITE, name="run")
    if report.failure or not report.values_compared:
        text = report.failure or "no value was compared"
        ElementTree.SubElement(run, "failure", message=text).text = str(report)
    # The run itself is a case, so that one without any layer fails, too.
    cases.insert(0, run)
    failures = sum(case.find("failure") is not None for case in cases)
    suite = ElementTree.Element(
        "testsuite", name=SUITE, tests=str(len(cases)), failures=str(failures), errors="0"
    )
    suite.extend(cases)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    # A person may have to read it.
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(layer: LayerReport, device: str):
    name = f"{layer.name} ({layer.op}), image {layer.image}"
    case = ElementTree.Element("testcase", classname=f"{SUITE}.{device}", name=name)
    if not layer.passed:
        parts = [f"{layer.mismatches}/{layer.values} mismatches", layer.problem, layer.first]
        text = "; ".join(str(part) for part in parts if part)
        ElementTree.SubElement(case, "failure", message=text)
    return case
