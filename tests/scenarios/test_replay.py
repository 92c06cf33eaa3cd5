"""`replay` meets a run's own decisions again, and says which ones another policy changes: first ones apart."""

import copy
import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.policy.tables import load_policy
from engine.records import DECISION, EVENT, NONE, EventKind, Reason, records
from engine.reference import Reference
from results.store import Run, open_run
from scenarios import replay_twins
from scenarios.build import model_of
from scenarios.exits import Exit
from scenarios.explain import Paused, load_run
from scenarios.load import Options, plan_of
from scenarios.replay import changes_of, other_policy, replayed
from scenarios.replay_changes import Changes
from scenarios.replay_text import lines_of
from scenarios.replay_twins import FIRST_REACTION, LAST_REACTION, rounds
from scenarios.run import RunOptions, run_scenario
from sim.cohort import Cohort
from tests.scenarios.shop import POLICY, Done, Edit, cli, loaded

# What makes a replay hard: caps over all messages, a cool-down that "remind me later" ends, ghosts that count.
SEVEN, ONE = "caps: [{most: 7, per: week}]", "caps: [{most: 1, per: week}]"
BUSY: list[Edit] = [
    ("policy.yaml", 'weekly: monday, at: "12:00"', 'weekly: sunday, at: "20:00"'),
    ("policy.yaml", "universal_holdout:", f"fatigue: {{{SEVEN}}}\nuniversal_holdout:"),
    ("policy.yaml", "    reward: 20.00\n", "    reward: 20.00\n    frequency: {cool_down: 3d}\n"),
    ("policy.yaml", "    goal: {event: bill_viewed, window: 3d}\n",
     "    goal: {event: bill_viewed, window: 3d}\n    holdout: {share: 50%}\n"),
    ("spring.scenario.yaml", "days: 3", "days: 17"),
    ("people.yaml", "reminds: 10%", "reminds: 60%"),
    ("people.yaml", "closes: 20%, mutes: 5%", "closes: 5%, mutes: 1%"),
    ("people.yaml", "annoyance: {half_life: 10d, overlay: 1, leaving: 0.01}",
     "annoyance: {half_life: 1d, overlay: 0.1, leaving: 0.001}"),
]  # fmt: skip


def recorded(folder: Path, *edits: Edit, **how: Any) -> Run:
    found = loaded(folder, *BUSY, *edits, options=Options(customers=400))
    return run_scenario(found, RunOptions(out=folder / "runs", record=True, **how)).run


@pytest.fixture(scope="module", params=["without", "other baseline, two workers"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The baseline either lacks the tested campaign, or is another policy with another campaign and other arms."""
    folder = tmp_path_factory.mktemp("replay")
    if request.param == "without":
        return recorded(folder)
    gift = POLICY[POLICY.index("  bill_ready:") :].replace("bill_ready", "gift").replace("Your bill", "A gift")
    loaded(folder)
    (folder / "old.yaml").write_text(POLICY.replace("campaigns:\n", f"campaigns:\n{gift}"), encoding="utf-8")
    return recorded(folder, ("spring.scenario.yaml", "{without: [spring]}", "old.yaml"), shards=2, inline=True)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return recorded(tmp_path_factory.mktemp("plain"))


def own_policy(run: Run) -> str:
    return (run.folder / "inputs" / "policy.yaml").read_text("utf-8")


def other(folder: Path, run: Run, *edits: tuple[str, str]) -> Path:
    """The run's policy with edits."""
    text = own_policy(run)
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    path = folder / "other.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def kinds(found: dict[str, Any]) -> set[tuple[str | None, str, str | None, str]]:
    """(campaign, reason) before and after of every kind of first difference."""
    return {
        (kind["before"]["campaign"], kind["before"]["reason"], kind["after"]["campaign"], kind["after"]["reason"])
        for kind in found["first_divergences"]
    }


# --- live equals replay -----------------------------------------------------------------------------------------------
def test_the_same_policy_changes_nothing(run: Run) -> None:
    found = replayed(run, run.folder / "inputs" / "policy.yaml")
    assert found["decisions"] > 10_000
    assert (found["customers"], found["customers_with_a_different_decision"]) == (400, 0)
    assert (found["first_divergences"], found["later_divergences"], found["cannot_answer"]) == ([], 0, [])
    assert found["another_reason"] == {"before_any_divergence": 0, "later": 0}
    text = list(lines_of(found))
    assert text[0].startswith("None of 400 customers meets a different decision")


def changed(run: Run, folder: Path, name: str, change: Callable[[dict[str, np.ndarray]], None]) -> Path:
    """A copy of a run whose recorded log was changed."""
    copy = folder / run.folder.name
    shutil.copytree(run.folder, copy)
    columns = {field: column.copy() for field, column in run.table(name).items()}
    change(columns)
    types = pq.read_schema(copy / "tables" / f"{name}.parquet")
    table = pa.table({field: pa.array(columns[field], types.field(field).type) for field in types.names}, schema=types)
    pq.write_table(table, copy / "tables" / f"{name}.parquet")
    return copy


def put(field: str, value: int, where: Callable[[dict[str, np.ndarray]], np.ndarray]) -> Callable[..., None]:
    def change(columns: dict[str, np.ndarray]) -> None:
        row = np.flatnonzero(where(columns))[-1]
        assert columns[field][row] != value
        columns[field][row] = value

    return change


def cut(columns: dict[str, np.ndarray]) -> None:
    for field in columns:
        columns[field] = columns[field][:-1]


def swap(columns: dict[str, np.ndarray]) -> None:
    for field in columns:
        columns[field] = columns[field][::-1]


def was_shown(columns: dict[str, np.ndarray]) -> np.ndarray:
    return np.asarray(columns["reason"] == Reason.SHOWN)


def paid(columns: dict[str, np.ndarray]) -> np.ndarray:
    return np.asarray(columns["kind"] == EventKind.PAYMENT)


PLANTED: dict[str, tuple[str, Callable[..., None], Exit, str]] = {
    "a wrong reason": ("decision_log", put("reason", int(Reason.COOL_DOWN), was_shown), Exit.INVARIANT_BROKEN,
                       r"reason of the decision on customer \d+'s event \d+ was 17 and is 0 again"),
    "a wrong arm": ("decision_log", put("arm", 3, was_shown), Exit.INVARIANT_BROKEN, "arm of the decision on"),
    "a payment of another amount": ("events", put("amount", 7, paid), Exit.INVARIANT_BROKEN, "the digest was"),
    "a payment that was none": ("events", put("kind", 0, paid), Exit.INVARIANT_BROKEN, "kind of the decision"),
    "events in another order": ("events", swap, Exit.INVARIANT_BROKEN, "of the decision"),
    "a page that is none": ("events", put("page", 99, paid), Exit.WRONG_USE, "page must be between -1 and 3 (got 99)"),
    "a kind that is none": ("events", put("kind", 64, paid), Exit.WRONG_USE, "kind must be between 0 and 63 (got 64)"),
    "a moment that is none": ("events", put("kind", 40, paid), Exit.WRONG_USE, "moment must be between 0 and 31"),
    "somebody unknown": ("events", put("customer", 400, paid), Exit.WRONG_USE, "customer must be between 0 and 399"),
    "before the beginning": ("events", put("time_ms", 1, paid), Exit.WRONG_USE, "time_ms must be between"),
}  # fmt: skip


@pytest.mark.parametrize("planted", PLANTED)
def test_a_changed_recording_is_not_compared(planted: str, plain: Run, tmp_path: Path) -> None:
    name, change, code, answer = PLANTED[planted]
    folder = changed(plain, tmp_path, name, change)
    done = cli("replay", folder, "--policy", folder / "inputs" / "policy.yaml")
    assert (done.code, done.out) == (code, ""), done
    assert re.search(answer if "\\" in answer else re.escape(answer), done.err)


def test_a_recording_that_is_not_whole(plain: Run, tmp_path: Path) -> None:
    folder = changed(plain, tmp_path / "one", "events", cut)
    done = cli("replay", folder, "--policy", folder / "inputs" / "policy.yaml")
    assert done.code == Exit.INVARIANT_BROKEN
    folder = changed(Run(folder, plain.manifest), tmp_path / "both", "decision_log", cut)
    done = cli("replay", folder, "--policy", folder / "inputs" / "policy.yaml")
    assert done.code == Exit.INVARIANT_BROKEN
    assert "events are kept" in done.err
    (folder / "tables" / "events.parquet").write_bytes(b"PAR1 and nothing more")
    done = cli("replay", folder, "--policy", folder / "inputs" / "policy.yaml")
    assert done.code == Exit.WRONG_USE
    assert "events.parquet must be a table as a run writes it" in done.err


# --- what another policy changes --------------------------------------------------------------------------------------
def test_a_smaller_cap(run: Run, tmp_path: Path) -> None:
    """Whatever is refused first is refused by that cap, also where the engines count exposures differently."""
    found = replayed(run, other(tmp_path, run, (SEVEN, ONE)))
    assert {kind[1::2] for kind in kinds(found)} == {("shown", "total_cap")}
    assert all(kind["before"]["campaign"] == kind["after"]["campaign"] for kind in found["first_divergences"])
    first = found["customers_with_a_different_decision"]
    assert 50 < first < 400
    assert found["later_divergences"] > 50
    assert found["another_reason"]["before_any_divergence"] > 0  # a ghost less, which nobody sees
    assert found["different_decisions"] == first + found["later_divergences"]
    assert sum(kind["customers"] for kind in found["first_divergences"]) == first
    assert sum(kind["share"] for kind in found["first_divergences"]) == pytest.approx(1, abs=1e-5)
    assert sum(row["no_longer_shown"] for row in found["by_campaign"]) == first
    assert sum(row["customers_with_a_different_decision"] for row in found["by_segment"]) == first
    assert sum(row["customers"] for row in found["by_segment"]) == 400
    assert sum(row["customers"] for row in found["by_day"]) == first
    assert [row["day"] for row in found["by_day"]][::18] == ["2026-09-07", "2026-09-25"]
    counts = [kind["customers"] for kind in found["first_divergences"]]
    assert counts == sorted(counts, reverse=True)


def decided(*rows: tuple[int, Reason, int, int]) -> np.ndarray:
    """DECISION[n] from (customer, reason, campaign, number of the exposure)."""
    found = records(len(rows), DECISION)
    for name, column in zip(("customer", "reason", "campaign", "exposure"), zip(*rows, strict=True), strict=True):
        found[name] = column
    return found


def test_a_reaction_speaks_of_the_same_exposure_whatever_its_number() -> None:
    """Customer 7 had two exposures at launch, customer 8 none. A ghost less, and the twin's numbers lag behind."""
    numbers = replay_twins.ExposureNumbers(7, np.array([2, 0]))
    held, shown, cap = Reason.HELD_OUT, Reason.SHOWN, Reason.TOTAL_CAP
    numbers.learn(
        decided((7, held, 3, 2), (7, shown, 1, 3), (7, shown, 2, 4), (7, shown, 1, 5), (8, cap, 1, NONE)),
        decided((7, cap, 3, NONE), (7, shown, 1, 2), (7, cap, 2, NONE), (7, shown, 2, 3), (8, shown, 1, 0)),
    )
    speaks_of = [(7, 0, 0), (7, 1, 1), (7, 2, NONE), (7, 3, 2), (7, 4, NONE), (7, 5, NONE), (7, 64, NONE), (8, 0, NONE)]
    events = records(len(speaks_of) + 1, EVENT)
    events["kind"][:-1], events["customer"], events["exposure"] = EventKind.CLICK, 7, 3
    for event, (customer, number, _) in zip(events, speaks_of, strict=False):
        event.customer, event.exposure = customer, number
    found = numbers.translated(events)
    assert found["exposure"].tolist() == [*(number for *_, number in speaks_of), 3]  # the last one is no reaction
    assert numbers.translated(events)["customer"].tolist() == events["customer"].tolist()


HOLDOUT = "    holdout: {share: 50%}\n    arms:"
RED = '      - {name: red, share: 50%, creative: {text: "20 off", ad_label: true, close: {}, mute: true, remind_later: true}}\n'  # noqa: E501
BILL_READY = POLICY[POLICY.index("  bill_ready:") : POLICY.index("    response: {shown: 8%")].replace(
    "3d}\n", "3d}\n    holdout: {share: 50%}\n"
)
BELL = """\
  bell:
    purpose: service
    topic: bill
    channel: push
    trigger: {on: register}
    goal: {event: bill_viewed}
"""
OTHERS: dict[str, tuple[list[tuple[str, str]], set[Any]]] = {
    "nobody held out": ([(HOLDOUT, "    arms:")], {("spring", "held_out", "spring", "shown")}),
    "arms in another order": ([(RED, ""), (RED.replace("red", "blue"), RED.replace("red", "blue") + RED)],
                              {("spring", "shown", "spring", "shown")}),
    "arms called otherwise": ([("name: red", "name: crimson")], {("spring", "shown", "spring", "shown")}),
    "a page less": ([("pages: [home], dwell", "pages: [bill], dwell")],
                    {("spring", "shown", None, "no_candidate"), (None, "no_candidate", "spring", "shown")}),
    "quiet hours": ([("fatigue: {", 'fatigue: {quiet_hours: {from: "00:00", until: "23:59"}, ')],
                    {("spring", "shown", "spring", "quiet_hours"),
                     ("bill_ready", "shown", "bill_ready", "quiet_hours")}),
    "another campaign": ([("  bill_ready:\n", "  bell:\n")],
                         {("bill_ready", "shown", "bell", "shown"), ("bill_ready", "shown", "bell", "held_out"),
                          ("bill_ready", "held_out", "bell", "shown")}),
    "a campaign less": ([(BILL_READY, BELL)], {("bill_ready", "shown", None, "no_candidate")}),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_other_policies(name: str, plain: Run, tmp_path: Path) -> None:
    edits, expected = OTHERS[name]
    found = replayed(plain, other(tmp_path, plain, *edits))
    assert kinds(found) == expected
    assert found["customers_with_a_different_decision"] > 10


def naive(run: Run, path: Path, customer: int) -> list[tuple[int, bool]]:
    """Different decisions of one customer, by two naive engines, one event after the other: (time, first)."""
    found, _ = load_run(run.folder)
    plan = plan_of(found)
    then = load_policy(path)
    slots = dict(plan.policy.registry.slots)
    profile = Cohort(customer, 1, model_of(plan.population, plan.baseline, plan.spans, (plan.seed, 0)), plan.spans)
    engine = Reference(found.baseline, slots)
    engine.add(customer, profile.profiles[0])
    events = run.table("events")
    numbers: dict[int, int] = {}
    differences: list[tuple[int, bool]] = []
    twin: Reference | None = None
    for row in np.flatnonzero(events["customer"] == customer):
        event = records(1, EVENT)[0]
        for field in EVENT.names or ():
            event[field] = events[field][row]
        phase = int(np.searchsorted([plan.spans.launch, plan.spans.campaign_end], event.time_ms, "right"))
        if phase and twin is None:
            customers = engine.customers
            engine, twin = Reference(found.policy, slots), Reference(then, slots)
            engine.customers = customers
            twin.customers = copy.deepcopy(customers)
            numbers = {n: n for n in range(customers[customer]["exposures"])}
        bulletin = Paused(len(slots), (plan.paused_before, (), plan.paused_after)[phase])
        was = engine.decide(event, bulletin).decision
        if twin is None:
            continue
        if FIRST_REACTION <= event.kind <= LAST_REACTION:
            event.exposure = numbers.get(int(event.exposure), NONE)
        now = twin.decide(event, bulletin).decision
        if was["reason"] == Reason.SHOWN == now["reason"] and was["campaign"] == now["campaign"]:
            numbers[was["exposure"]] = now["exposure"]
        seen = [(d["campaign"], d["arm"]) if d["reason"] == Reason.SHOWN else None for d in (was, now)]
        if seen[0] != seen[1]:
            differences.append((was["time_ms"], not differences))
    return differences


def test_the_same_by_two_naive_engines(run: Run, tmp_path: Path) -> None:
    """Whose first difference comes when, of some customers one by one."""
    path = other(tmp_path, run, (SEVEN, "caps: [{most: 1, per: 4d}]"), ("dwell: 5s", "dwell: 4s"))
    found, _ = load_run(run.folder)
    plan = plan_of(found)
    changes, *_ = changes_of(run, plan, other_policy(path, found, plan), lambda share: None)
    first = {int(row[0]): int(row[1]) for row in changes.rows()}
    told = {customer: naive(run, path, customer) for customer in range(0, 400, 16)}
    assert sum(map(bool, told.values())) > 4
    assert {c: t for c, t in first.items() if c in told} == {c: rows[0][0] for c, rows in told.items() if rows}


def test_what_counts_as_different_and_as_first(plain: Run) -> None:
    """Two batches. Customer 7: another reason, shown no more, another reason, another message; customer 8: unseen."""
    found, _ = load_run(plain.folder)
    plan = plan_of(found)
    changes = Changes(9, plan.policy, plan.policy)
    shown, cap, cool = Reason.SHOWN, Reason.TOTAL_CAP, Reason.COOL_DOWN
    changes.compare(
        decided((7, cap, 0, NONE), (8, cool, 0, NONE), (7, shown, 0, 3), (7, cool, 1, NONE)),
        decided((7, cool, 0, NONE), (8, cool, 1, NONE), (7, cap, 0, NONE), (7, cool, 0, NONE)),
    )
    changes.compare(decided((7, shown, 0, 4), (8, shown, 1, 0)), decided((7, shown, 1, 3), (8, shown, 1, 0)))
    assert (changes.decisions, changes.could_show, changes.later) == (6, 6, 1)
    assert (changes.refused_otherwise, changes.refused_otherwise_later) == (2, 1)
    assert [row.tolist()[2:] for row in changes.rows()] == [[shown, 0, 0, cap, 0, 0]]
    assert changes.rows()[:, 0].tolist() == [7]


def test_rounds_put_every_reaction_after_what_it_speaks_of() -> None:
    events = records(8, EVENT)
    events["customer"] = [5, 3, 5, 3, 5, 3, 5, 9]
    events["kind"] = [2, 20, 21, 2, 2, 21, 25, 24]
    assert rounds(events).tolist() == [0, 0, 1, 0, 1, 1, 2, 0]


# --- what a recording cannot answer -----------------------------------------------------------------------------------
LIMITS = {
    "a dwell that no client reported": ([("dwell: 5s", "dwell: 9s")], "spring waits 9s on a page"),
    "a moment that nobody lived": ([("weekly: sunday", "weekly: friday")],
                                   "The calendar moment noon comes 3 times that the recording does not have"),
    "another name": ([("policy: shop", "policy: shop_two")],
                     "Lots are drawn anew for spring, bill_ready, the universal holdout"),
    "another text": ([("20 off", "25 off")], "spring shows something else under the same name"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIMITS)
def test_what_a_recording_cannot_answer_is_told(name: str, plain: Run, tmp_path: Path) -> None:
    edits, sentence = LIMITS[name]
    found = replayed(plain, other(tmp_path, plain, *edits))
    (told,) = found["cannot_answer"]
    assert told.startswith(sentence)
    assert f"  - {told}" in lines_of(found)


def test_a_moment_is_known_by_its_name_and_time(plain: Run, tmp_path: Path) -> None:
    """Declared in another place it is the same; on another day it is not there, and what it showed is not shown."""
    noon = '  noon: {weekly: sunday, at: "20:00"}\n'
    moved = other(tmp_path, plain, (noon, f'  dawn: {{weekly: monday, at: "06:00"}}\n{noon}'))
    assert replayed(plain, moved)["first_divergences"] == []
    friday = other(tmp_path, plain, (noon, noon.replace("sunday", "friday")))
    assert kinds(replayed(plain, friday)) == {("bill_ready", "shown", None, "no_candidate")}


# --- the command ------------------------------------------------------------------------------------------------------
OUTCOMES = ("click", "conver", "uptake", "lift", "yuan", "¥", "spend", "revenue", "payment", "visits", "profit")


def one_object(done: Done) -> dict[str, Any]:
    assert done.code == Exit.FINE, done
    assert done.out.count("\n") == 1
    value = json.loads(done.out)
    assert isinstance(value, dict)
    return value


def test_what_the_command_prints(plain: Run, tmp_path: Path) -> None:
    path = other(tmp_path, plain, (SEVEN, ONE))
    done = cli("replay", plain.folder, "--policy", path)
    lines = done.out.splitlines()
    found = one_object(cli("replay", plain.folder, "--policy", path, "--json"))
    assert lines == "\n".join(lines_of(found)).splitlines()
    assert re.match(r"\d+ of 400 customers \(\d\d\.\d %\) meet a different decision under ", lines[0])
    assert re.search(r"  spring: shown +→ spring: cap over all messages reached +customer \d+, 2026-", done.out)
    assert "belong to another world" in done.out
    words = shlex.split(lines[-1])
    scenario = shlex.split(plain.manifest["command"])[2]
    assert words[:3] == ["windtunnel", "compare", scenario]
    assert words[3:] == ["--policy", str(plain.folder / "inputs" / "policy.yaml"), "--policy", str(path)]
    assert all(Path(word).is_file() for word in (scenario, words[4], words[6]))
    for text in (done.out, json.dumps(found, ensure_ascii=False)):
        assert [word for word in OUTCOMES if word in text.replace(str(tmp_path), "").lower()] == []


def test_many_kinds_and_many_days_are_told_shortly(plain: Run, tmp_path: Path) -> None:
    found = replayed(plain, other(tmp_path, plain, (SEVEN, ONE)))
    kind = found["first_divergences"][0]
    days = [{"day": f"2026-09-{day:02}", "customers": day % 3} for day in range(1, 31)]
    text = "\n".join(lines_of({**found, "first_divergences": [kind] * 15, "by_day": days}))
    assert f"  3 kinds more, {3 * kind['customers']:,} customers: --json has them all" in text
    assert "  week of 2026-08-31  " in text
    assert text.count("week of") == 5
    one = {**found, "customers_with_a_different_decision": 1}
    assert next(lines_of(one)).startswith("1 of 400 customers (0.2 %) meets a")


def test_a_run_that_was_not_recorded(tmp_path: Path) -> None:
    few = Options(customers=100)
    run = run_scenario(loaded(tmp_path, options=few), RunOptions(out=tmp_path / "runs", scenario=few)).run
    done = cli("replay", run.folder, "--policy", tmp_path / "policy.yaml")
    assert (done.code, done.out) == (Exit.WRONG_USE, "")
    assert done.err.splitlines()[-1] == f"record it with: {run.manifest['command']} --record"
    again = cli(*shlex.split(done.err.splitlines()[-1].partition(": windtunnel ")[2]), "--out", tmp_path / "again")
    assert again.code in (Exit.FINE, Exit.MISSED)
    (folder,) = (tmp_path / "again").iterdir()
    assert open_run(folder).manifest["digest"] == run.manifest["digest"]
    assert cli("replay", folder, "--policy", tmp_path / "policy.yaml").code == Exit.FINE


UNUSABLE: dict[str, tuple[list[tuple[str, str]], list[str]]] = {
    "two mistakes": ([("most: 7, per: week", "most: 0, per: wek")],
                     ["fatigue.caps[0].most must be >= 1 (got 0)",
                      "fatigue.caps[0].per must be day, week, month or a duration like 24h (got wek)"]),
    "a mistake, and pages of other numbers": (
        [("most: 7", "most: 0"), ("pages: [home, bill, pay, done]", "pages: [bill, home, pay, done]")],
        ["fatigue.caps[0].most must be >= 1 (got 0)",
         "names.pages must begin with those of the run's policy, whose numbers were recorded: home, bill, pay, done"]),
    "a city less": ([("cities: [beijing, wuhan]", "cities: [beijing]")], ["names.cities must begin with"]),
    "a condition": ([("    purpose: activation\n", "    purpose: activation\n    audience: agee > 3\n")],
                    ["campaigns.spring.audience must be "]),
}  # fmt: skip


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_policy_is_told_whole(name: str, plain: Run, tmp_path: Path) -> None:
    edits, sentences = UNUSABLE[name]
    path = other(tmp_path, plain, *edits)
    done = cli("replay", plain.folder, "--policy", path)
    assert (done.code, done.out) == (Exit.WRONG_USE, "")
    *problems, last = done.err.splitlines()
    assert last.endswith("nothing was run.")
    assert len(problems) == len(sentences)
    for problem, sentence in zip(problems, sentences, strict=True):
        assert re.match(re.escape(f"{path}:") + r"\d+: " + re.escape(sentence), problem), problem


WRONG = """
replay --policy HERE/other.yaml     | Usage:
replay RUN --policy HERE/none.yaml  | --policy must be a file that exists: HERE/none.yaml (got no such file)
replay RUN --policy HERE            | --policy must be a file that exists: HERE (got a folder)
replay HERE --policy HERE/other.yaml | HERE must be the folder of a run, like runs/first_use-20260907-101500
replay HERE/none --policy HERE/other.yaml | HERE/none must be the folder of a run
"""


@pytest.mark.parametrize("row", WRONG.strip().splitlines(), ids=str)
def test_wrong_use(row: str, plain: Run, tmp_path: Path) -> None:
    other(tmp_path, plain)
    words, answer = (part.strip() for part in row.split("|"))
    answer = answer.replace("HERE", str(tmp_path))
    for as_json in ([], ["--json"]):
        done = cli(*words.replace("RUN", str(plain.folder)).replace("HERE", str(tmp_path)).split(), *as_json)
        assert (done.code, done.out) == (Exit.WRONG_USE, "")
        assert done.err.startswith(answer), done.err
