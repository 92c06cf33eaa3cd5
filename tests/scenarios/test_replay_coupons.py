"""Runs with coupons and budgets are met again bit by bit; another policy's Ledger answers the same claims."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.coupon_records import Answer, RequestKind
from results.store import Run
from scenarios.exits import Exit
from scenarios.explain import explanation
from scenarios.load import Options, load_scenario
from scenarios.replay import replayed
from scenarios.replay_text import lines_of
from scenarios.run import RunOptions, run_scenario
from tests.scenarios.shop import cli

LIBRARY = Path(__file__).resolve().parents[2] / "scenarios" / "library"
CUSTOMERS = 600


def recorded(folder: Path, name: str, shards: int, spans: tuple[int, int, int]) -> Run:
    days, before, after = spans
    options = Options(customers=CUSTOMERS, days=days, before=before, after=after)
    found = load_scenario(LIBRARY / f"{name}.scenario.yaml", options)
    return run_scenario(found, RunOptions(shards=shards, inline=True, out=folder, record=True, scenario=options)).run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two workers; claims, orders, refunds, transfers, coupons that run out."""
    return recorded(tmp_path_factory.mktemp("shop"), "winback", 2, (3, 2, 1))


@pytest.fixture(scope="module")
def prizes(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Prizes that are reserved, collected and ordered again."""
    return recorded(tmp_path_factory.mktemp("prizes"), "prize_stock", 1, (5, 1, 1))


def other(folder: Path, run: Run, *edits: tuple[str, str]) -> Path:
    text = (run.folder / "inputs" / "policy.yaml").read_text("utf-8")
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    path = folder / "other.yaml"
    path.write_text(text, encoding="utf-8")
    return path


# --- live equals replay -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("which", ["run", "prizes"])
def test_the_same_policy_changes_nothing(which: str, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(which)
    assert replayed(run)["met_again"]
    found = replayed(run, run.folder / "inputs" / "policy.yaml")
    coupons = found["coupons"]
    assert found["different_decisions"] == 0
    assert coupons["claims"] > 50
    assert (coupons["claims_answered_otherwise"], coupons["customers_with_another_answer_or_price"]) == (0, 0)
    for row in (*coupons["coupons"], *coupons["budgets"], *coupons["refused"]):
        assert row["before"] == row["after"]
    for name in ("checkouts", "orders", "payments", "refunds", "used_by_hand"):
        row = coupons[name]
        assert row["discount_before"] == row["discount_after"]
        assert row["cheaper"] == row["dearer"] == row["no_longer_taken"] == row["newly_taken"] == 0
    assert "All" in next(line for line in lines_of(found) if "claims since launch" in line)


Columns = dict[str, np.ndarray]


def changed(run: Run, folder: Path, change: Callable[[Callable[[str], Columns]], dict[str, Columns]]) -> Path:
    """A copy of a run some of whose logs were changed."""
    copy = folder / run.folder.name
    shutil.copytree(run.folder, copy)
    for name, columns in change(lambda name: {f: c.copy() for f, c in run.table(name).items()}).items():
        path = copy / "tables" / f"{name}.parquet"
        types = pq.read_schema(path)
        arrays = {field: pa.array(columns[field], types.field(field).type) for field in types.names}
        pq.write_table(pa.table(arrays, schema=types), path)
    return copy


def lost_reply(read: Callable[[str], Columns]) -> dict[str, Columns]:
    replies, settlements = read("replies"), read("settlements")
    row = int(np.flatnonzero(settlements["replies"])[3])
    at = int(settlements["replies"][:row].sum())
    settlements["replies"][row] -= 1
    return {"replies": {f: np.delete(c, at) for f, c in replies.items()}, "settlements": settlements}


def replies_swapped(read: Callable[[str], Columns]) -> dict[str, Columns]:
    replies, settlements = read("replies"), read("settlements")
    row = int(np.flatnonzero(settlements["replies"] > 1)[0])
    at = int(settlements["replies"][:row].sum())
    for column in replies.values():
        column[[at, at + 1]] = column[[at + 1, at]]
    return {"replies": replies}


def settlement_forgotten(read: Callable[[str], Columns]) -> dict[str, Columns]:
    settlements = read("settlements")
    gone = settlements["settlement"] == 40
    return {"settlements": {f: c[~gone] for f, c in settlements.items()}}


def put(log: str, field: str, value: int, of: str, is_: int) -> Callable[..., dict[str, Columns]]:
    def change(read: Callable[[str], Columns]) -> dict[str, Columns]:
        columns = read(log)
        row = np.flatnonzero(columns[of] == is_)[-1]
        assert columns[field][row] != value
        columns[field][row] = value
        return {log: columns}

    return change


def cut(log: str) -> Callable[..., dict[str, Columns]]:
    return lambda read: {log: {field: column[:-1] for field, column in read(log).items()}}


BROKEN, WRONG = Exit.INVARIANT_BROKEN, Exit.WRONG_USE
PLANTED: dict[str, tuple[Callable[..., dict[str, Columns]], Exit, str]] = {
    "a lost reply": (lost_reply, BROKEN, r"settlement \d+ had \d+ replies and has \d+ again"),
    "replies in another order": (replies_swapped, BROKEN, "of the reply on customer"),
    "another reply": (put("replies", "answer", Answer.OUT_OF_STOCK, "answer", Answer.DONE), BROKEN,
                      r"answer of the reply on customer \d+'s request \d+ was 40 and is 1 again"),
    "a forgotten settlement": (settlement_forgotten, BROKEN, r"settlement 40 was at \d+ and is at \d+ again"),
    "another receipt": (put("receipts", "discount", 7, "answer", Answer.DONE), BROKEN, "discount of the receipt on"),
    "another claim": (put("asks", "coupon", 0, "coupon", 2), BROKEN, "again"),
    "events cut": (cut("events"), BROKEN, "events ends too early"),
    "lines cut": (cut("cart_lines"), BROKEN, "cart_lines ends too early"),
    "a cart that is none": (put("asks", "lines", 99, "lines", 1), WRONG, "lines must be between 0 and"),
    "a place that is none": (put("asks", "place", 60, "place", 0), WRONG, "place must be between -1 and 2 (got 60)"),
    "an ask that is none": (put("events", "ask", 9_999, "ask", 0), WRONG, "ask must be between -1 and"),
}  # fmt: skip


@pytest.mark.parametrize(
    "planted", [pytest.param(name, marks=[] if number < 2 else pytest.mark.long) for number, name in enumerate(PLANTED)]
)
def test_a_changed_recording_is_seen(planted: str, run: Run, tmp_path: Path) -> None:
    change, code, answer = PLANTED[planted]
    done = cli("replay", changed(run, tmp_path, change))
    assert (done.code, done.out) == (code, ""), done
    assert re.search(answer if "\\" in answer else re.escape(answer), done.err), done.err


def test_another_stock_in_the_run_is_seen(run: Run, tmp_path: Path) -> None:
    """The Ledger settles anew: with fewer pieces than there were, its replies are others."""
    copy = tmp_path / run.folder.name
    shutil.copytree(run.folder, copy)
    path = copy / "inputs" / "policy.yaml"
    text = path.read_text("utf-8")
    path.write_text(text.replace("    off: 10.00\n", "    pieces: 5\n    off: 10.00\n"), "utf-8")
    done = cli("replay", copy)
    assert (done.code, done.out) == (BROKEN, "")
    assert " again: the recording was changed" in done.err


@pytest.mark.parametrize("log", ["asks", "settlements", "replies"])
def test_a_log_that_is_missing_or_broken(log: str, run: Run, tmp_path: Path) -> None:
    copy = tmp_path / run.folder.name
    shutil.copytree(run.folder, copy)
    path = copy / "tables" / f"{log}.parquet"
    path.write_bytes(path.read_bytes()[:100])
    for done in (cli("replay", copy), cli("explain", copy, "--customer", 3)):
        assert (done.code, done.out) == (WRONG, "")
        assert f"{log}.parquet must be a table as a run writes it" in done.err


# --- another policy ---------------------------------------------------------------------------------------------------
def test_fewer_pieces_are_granted_to_the_first(run: Run, tmp_path: Path) -> None:
    """Of what was granted since launch so many stay granted as there are pieces; the money follows."""
    pieces = ("    kind: amount_off\n    off: 10.00\n", "    kind: amount_off\n    pieces: 30\n    off: 10.00\n")
    found = replayed(run, other(tmp_path, run, pieces))
    coupons = found["coupons"]
    (kind,) = [kind for kind in coupons["claims_by_kind"] if kind["coupon"] == "everyday_10"]
    row = next(row for row in coupons["coupons"] if row["coupon"] == "everyday_10")
    assert (kind["before"], kind["after"]) == ("granted", "out_of_stock")
    assert kind["claims"] == row["before"]["granted"] - row["after"]["granted"] > 5
    refused = {(row["coupon"], row["reason"]): row for row in coupons["refused"]}
    assert refused["everyday_10", "out_of_stock"]["after"] == kind["claims"]
    assert row["after"]["left"] == 0
    paid = coupons["payments"]
    assert paid["discount_after"] <= paid["discount_before"]
    assert paid["paid_after"] - paid["paid_before"] == paid["discount_before"] - paid["discount_after"]
    assert any("Claims answered otherwise" in line for line in lines_of(found))


def test_where_only_prices_change_these_lead(run: Run, tmp_path: Path) -> None:
    cheaper = ("    kind: amount_off\n    off: 10.00\n", "    kind: amount_off\n    off: 5.00\n")
    found = replayed(run, other(tmp_path, run, cheaper))
    moved = found["coupons"]["customers_with_another_answer_or_price"]
    assert found["customers_with_a_different_decision"] == 0 < moved
    assert next(lines_of(found)).startswith(f"{moved:,} of {CUSTOMERS} customers"), next(lines_of(found))


def test_a_coupon_less(run: Run, tmp_path: Path) -> None:
    """A policy that does not offer a recorded coupon refuses its claims as not open."""
    text = (run.folder / "inputs" / "policy.yaml").read_text("utf-8")
    start, end = text.index("  free_shipping:"), text.index("  first_order_20:")
    found = replayed(run, other(tmp_path, run, (text[start:end], "")))
    kinds = {kind["coupon"]: kind for kind in found["coupons"]["claims_by_kind"]}
    assert kinds["free_shipping"]["after"] == "not_open"


def test_carts_by_other_numbers_are_refused(run: Run, tmp_path: Path) -> None:
    edit = ("categories: [clothing, shoes,", "categories: [shoes, clothing,")
    done = cli("replay", run.folder, "--policy", other(tmp_path, run, edit))
    assert (done.code, done.out) == (WRONG, "")
    assert "names.categories must begin with those of the run's policy" in done.err


# --- explained --------------------------------------------------------------------------------------------------------
def test_one_customers_coupons_are_those_of_the_recording(run: Run) -> None:
    """The naive engine meets every event and receipt again; what is granted and refused is what the Ledger said."""
    replies = run.table("replies")
    busy = np.bincount(replies["customer"], minlength=CUSTOMERS).argsort()[-4:].tolist()
    for customer in (*busy, 0):
        told: dict[str, Any] = explanation(run.folder, customer)
        mine = replies["customer"] == customer
        granted = mine & (replies["answer"] == Answer.DONE) & (replies["kind"] == RequestKind.CLAIM)
        assert sum(row["what"] == "granted" for row in told["coupons"]) == granted.sum()
    text = cli("explain", run.folder, "--customer", busy[-1], "--level", "customer").out
    assert "Your coupons" in text
    assert not any(word in text for word in ("everyday_10", "budget", "held", "customer "))


def test_what_explain_needs(run: Run, tmp_path: Path) -> None:
    done = cli("explain", run.folder, "--customer", CUSTOMERS)
    assert done.code == WRONG
    assert done.err.startswith(f"--customer must be between 0 and {CUSTOMERS - 1} (got {CUSTOMERS})")
    copy = tmp_path / run.folder.name
    shutil.copytree(run.folder, copy)
    for name in ("events", "decision_log"):
        (copy / "tables" / f"{name}.parquet").unlink()
    done = cli("explain", copy, "--customer", 3)
    assert done.code == WRONG
    assert "record it with: windtunnel run" in done.err
