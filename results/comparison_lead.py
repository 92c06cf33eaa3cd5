"""The first sentence of a comparison, in DESK.md's grammar (a start; the report builds on it)."""

from pathlib import Path

from results.store import open_run


def plain_first_sentences(folder: Path) -> list[str]:
    run = open_run(folder)
    table = run.table("verdicts")
    return [
        " ".join(str(table[c][i]) for c in ("policy", "measure", "role", "word", "value", "low", "high"))
        for i in range(len(table["policy"]))
    ]
