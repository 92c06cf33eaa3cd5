"""A new strategist with nothing but the README: one edited line, at most six commands, three minutes."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.test_docs import ROOT, blocks, command_lines, edit, kind_of, page_text

COMMANDS_MAX = 6
SECONDS_MAX = 360 if "PYTEST_XDIST_WORKER" in os.environ else 180  # beside other tests half of the machine is ours
MADE_BEFORE = ("make install", "source .venv/bin/activate")  # by whoever runs this test


def typed(line: str, folder: Path) -> str:
    """Run a command of the README as it is written; what it printed."""
    words = line.split()
    if words[0] == "windtunnel":
        words = [sys.executable, str(ROOT / "windtunnel.py"), *words[1:]]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long  # tests/test_docs.py types the same of few customers
def test_from_the_readme_alone(tmp_path: Path) -> None:
    """Fatigue cap 7 to 3 in the preset: verdict, interval and picture."""
    text = page_text("README.md")
    section = text[text.index("## Change a rule, see what it does") : text.index("## Where to go")]
    steps = blocks(section, "sh", "diff")
    lines = [line for language, body in steps if language == "sh" for line in command_lines(body)]
    assert len(lines) <= COMMANDS_MAX
    began, said = time.monotonic(), ""
    for language, body in steps:
        if language == "diff":
            assert len(re.findall(r"^-", body, re.MULTILINE)) == 1, "one edited line"
            edit(body, tmp_path)
            continue
        for line in command_lines(body):
            assert line in MADE_BEFORE or kind_of(line) in ("windtunnel", "copy")
            if line not in MADE_BEFORE:
                said = typed(line, tmp_path)
    assert time.monotonic() - began < SECONDS_MAX
    assert re.match(r"cap_3 instead of bank_card (is|makes) (better|worse|no difference that matters|undecided)", said)
    assert re.search(r"\(¥[\d.]+–[\d.]+\)|\(−?¥[\d.]+ to ", said), said
    (folder,) = (tmp_path / "runs").glob("compare-*")
    assert '<figure class="chart"' in (folder / "report.html").read_text("utf-8")
    assert json.loads((folder / "manifest.json").read_text("utf-8"))["assumption_sets"] == 50
