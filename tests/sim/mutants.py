"""A copy of the sources with one thing changed."""

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("engine", "sim", "scenarios", "results", "tests")


def mutated(folders: pytest.TempPathFactory, path: str, before: str, after: str) -> Path:
    """The root of a copy in which `before`, found once in the file, has become `after`."""
    root = folders.mktemp("mutant", numbered=True)
    for name in COPIED:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    file = root / path
    text = file.read_text("utf-8")
    assert text.count(before) == 1 or before == after, f"{path} must hold {before!r} once (got {text.count(before)})"
    file.write_text(text.replace(before, after), "utf-8")
    return root
