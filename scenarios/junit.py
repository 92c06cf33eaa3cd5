"""JUnit XML of what `windtunnel check` found: one test case a test, under the name of its scenario file."""

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from scenarios.pytest_plugin import Finding

# pytest's own writer takes the brackets of `lift[first_use]` for parameters of a test.
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
ELEMENTS = {"error": "error", "broken": "error", "not judged": "skipped"}  # every other miss is a failure


def write_junit(path: Path, findings: Sequence[Finding], seconds: float) -> None:
    """Write the file whole; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    root = ElementTree.Element("testsuites")
    elements = [ELEMENTS.get(finding.outcome, "failure") for finding in findings if finding.missed]
    numbers = {
        f"{kind}s" if kind != "skipped" else kind: elements.count(kind) for kind in ("failure", "error", "skipped")
    }
    suite = ElementTree.SubElement(root, "testsuite", {"name": "windtunnel", "tests": str(len(findings))})
    suite.attrib |= {name: str(number) for name, number in numbers.items()} | {"time": f"{seconds:.3f}"}
    for finding in findings:
        about = {"classname": finding.file, "name": finding.test, "time": f"{finding.seconds:.3f}"}
        case = ElementTree.SubElement(suite, "testcase", {name: legal(text) for name, text in about.items()})
        if finding.missed:
            text = legal(
                "\n".join([finding.problem, f"repeat: {finding.repeat}"] if finding.repeat else [finding.problem])
            )
            message = text.splitlines()[0] if text else finding.outcome
            element = ELEMENTS.get(finding.outcome, "failure")
            ElementTree.SubElement(case, element, {"message": message, "type": finding.outcome}).text = text
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def legal(text: str) -> str:
    return NOT_XML.sub("�", text)
