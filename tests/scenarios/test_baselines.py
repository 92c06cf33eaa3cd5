"""Baselines: what is kept is what was decided, and a change of a rule is told with its decisions and reasons."""

import json
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from engine.records import NONE, Reason
from results.baseline_store import FOLDER
from results.decision_changes import MESSAGE, MONEY, REASON, Kept, changes, counts_changed
from results.decision_words import lines_of
from scenarios.exits import Exit
from scenarios.load import Options, load_scenario, plan_of
from scenarios.recording import STEP, Recorded
from scenarios.run import RunOptions, live
from scenarios.sampling import KIND, REPLY, SAMPLED, Sampling, kinds, recorder_of
from tests.scenarios.shop import Done, cli, write_shop

LIBRARY = Path(__file__).resolve().parents[2] / "scenarios" / "library"
CHOSEN = (*range(0, 200, 9), *range(200, 230))
CAP = ("policy.yaml", "reward: 20.00", "reward: 20.00\n    frequency: {caps: [{most: 1, per: 7d}]}")
SHARE = ("policy.yaml", "{name: red, share: 50%", "{name: red, share: 60%")
OTHER_SHARE = ("policy.yaml", "{name: blue, share: 50%", "{name: blue, share: 40%")


def checked(*words: object) -> Done:
    return cli("check", *words, "--out", "runs", "--beside", "1")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shop whose decisions are accepted."""
    monkeypatch.chdir(tmp_path)
    write_shop(tmp_path / "shop")
    done = checked("shop", "--update")
    assert done.code == Exit.FINE and "  written    its first baseline" in done.out, done.out
    return Path("shop")


def changed(*edits: Any) -> Done:
    write_shop(Path("shop"), *edits)
    return checked("shop", "--json", "--junit", "junit.xml", "--markdown", "pull.md")


# --- the command ------------------------------------------------------------------------------------------------------
def test_the_same_is_the_same(shop: Path) -> None:
    files = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in (shop / FOLDER).iterdir()}
    done = checked(shop)
    assert done.code == Exit.FINE
    assert "  holds      decisions are those of the baseline" in done.out and "1 baseline: 1 as they were." in done.out
    assert checked(shop, "--update").code == Exit.FINE  # nothing to write
    assert {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in (shop / FOLDER).iterdir()} == files
    shutil.rmtree(shop / FOLDER)
    assert checked(shop, "--update").code == Exit.FINE
    assert {file: file.read_bytes() for file in (shop / FOLDER).iterdir()} == {file: files[file][0] for file in files}


def test_a_change_of_one_line_is_told(shop: Path) -> None:
    done = changed(SHARE, OTHER_SHARE)
    assert done.code == Exit.MISSED
    said = json.loads(done.out)
    assert said["baselines"] == {"changed": 1}
    (row,) = [row for row in said["tests"] if row["outcome"] == "changed"]
    assert row["file"] == "shop/spring.scenario.yaml" and row["changed"]["files"] == ["policy.yaml"]
    moved = row["changed"]["kinds"][0]
    assert (moved["before"]["arm"], moved["now"]["arm"]) == ("blue", "red") and moved["matters"] == MESSAGE
    first, cause, kind, *_ = row["problem"].splitlines()
    assert first.endswith("decisions are no longer as they were") and cause == "changed since: policy.yaml"
    assert "spring (blue): shown → spring (red): shown; customer " in kind
    failure = ElementTree.parse("junit.xml").find(".//failure")
    assert failure is not None and failure.attrib["type"] == "changed" and kind in (failure.text or "")
    page = Path("pull.md").read_text("utf-8")
    assert "### shop/spring.scenario.yaml decides otherwise" in page
    assert "| spring (blue): shown | spring (red): shown |" in page
    accepted = checked(shop, "--update")
    assert accepted.code == Exit.FINE and "  written    " in accepted.out and first in accepted.out
    assert checked(shop).code == Exit.FINE


def test_against_another_version_it_is_only_told(shop: Path) -> None:
    shutil.copytree(shop / FOLDER, "before")
    write_shop(shop, CAP)
    assert checked(shop, "--update").code == Exit.FINE
    done = checked(shop, "--against", "before")
    assert done.code == Exit.FINE
    assert "  told       " in done.out and "cap of this campaign reached" in done.out
    assert "accept" not in done.out and "repeat" not in done.out
    Path("before", "spring.json").rename(Path("before", "summer.json"))
    Path("before", "spring.parquet").rename(Path("before", "summer.parquet"))
    done = checked(shop, "--against", "before")
    assert done.code == Exit.FINE
    assert "no baseline of that name in the folder given" in done.out and "1 baseline: 1 not there." in done.out


def test_another_s_decisions_are_not_taken_for_its_own(shop: Path) -> None:
    file = shop / FOLDER / "spring.parquet"
    table = pq.read_table(file)
    pq.write_table(table.set_column(0, "customer", pc.add(table["customer"], 1)), file)
    done = checked(shop)
    assert done.code == Exit.WRONG_USE and "spring.parquet: must be of customers " in done.out


def test_another_world_is_not_compared_one_by_one(shop: Path) -> None:
    done = changed(("spring.scenario.yaml", "customers: 300", "customers: 310"))
    assert done.code == Exit.MISSED
    assert "another world than the baseline's (customers 300 → 310)" in done.out


def test_what_cannot_be_used(shop: Path) -> None:
    assert "kinds" not in json.loads(checked(shop, "--customers", 200, "--json").out)["tests"][-1]
    for words in (("--update", "--customers", "200"), ("--update", "--against", str(shop)), ("--against", "nowhere"),
                  ("--markdown", str(shop))):  # fmt: skip
        assert checked(shop, *words).code == Exit.WRONG_USE, words
    told = checked(shop, "--update", "--customers", "200", "--against", "nowhere")
    assert told.err.count("--update must go without") == 2 and "got no such folder: nowhere" in told.err
    (shop / FOLDER / "spring.json").write_text("{}")
    done = checked(shop)
    assert done.code == Exit.WRONG_USE and done.out.count("  holds ") == 2
    assert "spring.json: must be a baseline as check --update writes it (got none of scenario, digest, " in done.out


# --- what is kept -----------------------------------------------------------------------------------------------------
def test_everything_of_those_chosen_is_kept() -> None:
    """Held against a recording of a run with coupons, fraud rules and crews, whose accounts follow the customers."""
    loaded = load_scenario(LIBRARY / "scalpers.scenario.yaml", Options(customers=200, days=3, before=1, after=1))
    sampled = live(plan_of(loaded, sampling=Sampling(CHOSEN)), 200, RunOptions(), lambda share: None)
    whole = live(plan_of(loaded, record=True), 200, RunOptions(), lambda share: None)
    assert sampled.digest == whole.digest and whole.log is not None and len(whole.everybody) == 2
    rows = np.concatenate([result.sampled.rows for result in sampled.everybody if result.sampled])
    answers = np.concatenate([part for parts in whole.log.replies for part in parts])
    answers = answers[np.isin(answers["customer"], CHOSEN) & (answers["answer"] != 0)]
    recorded = [with_receipts(result.recorded) for result in whole.everybody if result.recorded]
    decisions, receipts = (np.concatenate(parts) for parts in zip(*recorded, strict=True))
    at = rows["kind"] < REPLY
    for name in ("time_ms", "customer", "reason", "campaign", "arm", "answer", "credited"):
        assert sorted(rows[at][name].tolist()) == sorted(decisions[name].tolist()), name
    assert sorted(rows[~at]["answer"].tolist()) == sorted(answers["answer"].tolist()) != []
    for name in ("paid", "discount", "rule"):
        answered = rows[at][name][rows[at]["answer"] != 0].tolist()
        assert sorted(answered) == sorted(receipts[name][receipts["answer"] != 0].tolist())
    assert receipts["discount"].any() and (decisions["reason"] == Reason.SHOWN).any() and max(rows["customer"]) >= 200


def with_receipts(recorded: Recorded) -> tuple[np.ndarray, np.ndarray]:
    """Decisions of those chosen that had a candidate, an answer or a goal; what was answered to their asks."""
    asks = recorded.events["ask"].copy()
    starts = np.cumsum([0, *recorded.steps[:, STEP.index("asks")]])
    step = np.repeat(np.arange(len(recorded.steps)), recorded.steps[:, STEP.index("events")])
    asks[asks != NONE] += starts[step][asks != NONE].astype(asks.dtype)
    ours, decisions = np.isin(recorded.events["customer"], CHOSEN), recorded.decision_log
    worth = ours & ((decisions["reason"] != Reason.NO_CANDIDATE) | (asks != NONE) | (decisions["credited"] != NONE))
    return decisions[worth], recorded.receipts[asks[ours & (asks != NONE)]]


def test_every_kind_of_decision_has_its_customers() -> None:
    rng = np.random.default_rng(1)
    rows = np.zeros(5_000, SAMPLED)
    rows["customer"] = rng.integers(0, 100, 5_000)
    for name, most in (("campaign", 3), ("reason", 5), ("answer", 4)):
        rows[name] = rng.integers(-(name == "campaign"), most, 5_000)
    recorder: Any = recorder_of(False, Sampling(), 0, 100)
    for part in np.array_split(rows, 7):
        recorder._take(part)
    examples = recorder.sampled().examples
    assert set(examples) == set(kinds(rows).tolist()) and {len(set(found)) for found in examples.values()} == {2}
    for name, most in KIND.items():
        rows[name] = rng.integers(-1, min(most - 1, 127), 5_000)
    assert len(set(kinds(rows).tolist())) == len(set(rows[[*KIND]].tolist()))


# --- what changed -----------------------------------------------------------------------------------------------------
def row(time: int, **said: Any) -> Kept:
    blank: dict[str, Any] = {"what": "page_view", "campaign": "", "arm": "", "reason": "no_candidate", "answer": ""}
    blank |= {"coupon": "", "rule": "", "credited": "", "paid": 0, "discount": 0}
    return Kept(customer=said.pop("customer", 7), time_ms=time, **(blank | said))


SHOWN = row(10, campaign="spring", arm="red", reason="shown")
CAPPED = row(10, campaign="spring", arm="red", reason="campaign_cap")
COOLED = row(10, campaign="spring", arm="red", reason="cool_down")
CLAIMED = row(20, what="reply_to_claim", coupon="ten", answer="done")
DENIED = CLAIMED._replace(answer="denied", rule="claims_per_ip")
PRICED = row(30, what="checkout", answer="done", paid=8_000, discount=2_000)


@pytest.mark.parametrize(
    ("was", "now", "matters", "changed", "says"),
    [
        ([SHOWN], [CAPPED], MESSAGE, 1, "spring (red): shown → spring: cap of this campaign reached"),
        ([COOLED], [CAPPED], REASON, 1, "spring: cool-down: shown too recently → spring: cap of this campaign reached"),
        ([SHOWN, CLAIMED], [SHOWN, DENIED], MONEY, 1, "ten: done → ten: denied as suspicious by claims from one IP"),
        ([PRICED], [PRICED._replace(paid=10_000, discount=0)], MONEY, 1,
         "done, ¥80.00 after ¥20.00 off → done, ¥100.00 after ¥0.00 off, ¥20.00 less given away"),
        ([SHOWN, CLAIMED], [CLAIMED], MESSAGE, 1, "spring (red): shown → nothing"),
        ([CLAIMED], [SHOWN, CLAIMED], MESSAGE, 0, "nothing → spring (red): shown"),
    ],
)  # fmt: skip
def test_first_differences(was: list[Kept], now: list[Kept], matters: int, changed: int, says: str) -> None:
    found = changes(was, now)
    assert (found["customers"], found["customers_with_another_decision"], found["changed"]) == (1, 1, changed)
    (kind,) = found["kinds"]
    assert kind["matters"] == matters
    told = list(lines_of(found | {"world": {}, "files": [], "counts": [], "zone": "Asia/Shanghai"}))
    assert says in told[2] and told[1] == "no file of the scenario changed: windtunnel itself decides otherwise"


def test_what_matters_most_comes_first() -> None:
    """Money before messages before reasons; then the most customers."""
    was, now = [], []
    for customer, (one, other) in enumerate([(COOLED, CAPPED)] * 5 + [(SHOWN, CAPPED)] * 2 + [(SHOWN, COOLED)] * 3
                                            + [(CLAIMED, DENIED)]):  # fmt: skip
        was += [one._replace(customer=customer), SHOWN._replace(customer=customer, time_ms=99)]
        now += [other._replace(customer=customer), COOLED._replace(customer=customer, time_ms=99)]
    found = changes(was, now)
    assert [(kind["matters"], kind["customers"]) for kind in found["kinds"]] == [
        (MONEY, 1), (MESSAGE, 3), (MESSAGE, 2), (REASON, 5)]  # fmt: skip
    assert found["changed"] == 22 and changes(was, was)["kinds"] == []


def test_counts() -> None:
    was = {"messages": {"spring": {"shown": 10, "muted": 2}}}
    now = {"messages": {"spring": {"shown": 4, "muted": 2}}, "claims": {"ten": {"granted": 1}}}
    assert [(row["of"], row["word"], row["before"], row["now"]) for row in counts_changed(was, now)] == [
        ("spring", "shown", 10, 4), ("ten", "granted", 0, 1)]  # fmt: skip
