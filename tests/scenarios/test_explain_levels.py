"""The levels of an explanation: what each says, what it must not say, and the evidence that an auditor reads."""

import json
import re

import pytest

from engine.policy.document import Policy
from engine.policy.yaml_source import load_text
from engine.records import (
    CUSTOMER,
    DAY_MS,
    EVENT,
    HOUR_MS,
    LONG_AGO_MS,
    MINUTE_MS,
    NEVER_MS,
    NONE,
    EventKind,
    Flag,
    Reason,
    records,
)
from engine.reference import Answer
from results.store import Run
from scenarios.exits import Exit
from scenarios.explain import candidate_words, explanation, lines_of
from scenarios.explain_evidence import Evidence, Witness, span_text
from scenarios.explain_levels import CATEGORIES, FAMILIES, LEVELS, customer_lines, customer_view
from tests.scenarios.shop import POLICY, cli
from tests.scenarios.test_explain import recorded

CUSTOMERS = (7, 123, 299)

# What each level says of the same customers, and what it must not say.
MAY: dict[str, tuple[str, ...]] = {
    "customer": ("You were shown a pop-up on a page that you had opened.", "Nothing was on offer at that moment.",
                 "Ask Example Bank", "A person looks at it."),
    "support": ("measurement: held out for measurement", "page: not long enough on the page",
                "schedule: campaign paused", "consent: no consent for this channel", "→ spring"),
    "auditor": ("measurement: held out for measurement: priority 0, score ", " lot ", "held out below 500,000",
                "must be open", "page just opened, at least 5s on it", "digest "),
}  # fmt: skip
MUST_NOT: dict[str, str] = {
    "customer": r"\d|spring|bill_ready|gift|thrifty|segment|hold|held|control|measure|lot\b|cap\b|limit|score|priority"
                r"|arm\b|red\b|blue\b|audience|campaign|budget|stock|block",
    "support": r"\blot\b|score|priority|at least|at most|below|must be|last shown",
    "auditor": r"None|Traceback",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return recorded(tmp_path_factory.mktemp("levels"))


@pytest.mark.parametrize("level", LEVELS)
def test_what_each_level_says_and_what_it_must_not(level: str, run: Run) -> None:
    texts = []
    for customer in range(12):
        found = explanation(run.folder, customer, level)
        texts += ["\n".join(lines_of(found)), json.dumps(found.get("history", found))]
        assert found["level"] == level
    for words in MAY[level]:
        assert any(words in text for text in texts), words
    leaks = [(words[0], text) for text in texts for words in [re.search(MUST_NOT[level], text)] if words]
    assert leaks == []


def test_the_table_of_levels_would_see_a_leak(run: Run) -> None:
    """What the next level says breaks the rule of the one before."""
    for level, above in (("customer", "support"), ("support", "auditor")):
        texts = ["\n".join(lines_of(explanation(run.folder, customer, above))) for customer in range(5)]
        assert any(re.search(MUST_NOT[level], text) for text in texts), level


@pytest.mark.parametrize("customer", CUSTOMERS)
def test_a_level_changes_no_decision(customer: int, run: Run) -> None:
    support, auditor = (explanation(run.folder, customer, level)["history"] for level in ("support", "auditor"))
    assert [row["evidence"] for row in support] == [{}] * len(support)
    assert [{**row, "evidence": {}} for row in auditor] == support
    for row in auditor:
        assert set(row["evidence"]) == set(row["candidates"])
        assert all(compared["value"] for compared in row["evidence"].values())


def test_the_command_takes_the_level(run: Run) -> None:
    for level in LEVELS:
        done = cli("explain", run.folder, "--customer", 7, "--level", level)
        assert done.out == "\n".join(lines_of(explanation(run.folder, 7, level))) + "\n"
    assert json.loads(cli("explain", run.folder, "--customer", 7, "--json").out)["level"] == "support"
    done = cli("explain", run.folder, "--customer", 7, "--level", "boss")
    assert (done.code, done.out) == (Exit.WRONG_USE, "")
    assert done.err == "--level must be one of customer, support, auditor (got boss)\n"


def test_every_reason_has_a_family_and_every_family_a_category() -> None:
    assert set(FAMILIES) == set(Reason) - {Reason.NO_CANDIDATE}
    told = [family for families in CATEGORIES.values() for family in families]
    assert sorted([*told, "shown"]) == sorted(set(FAMILIES.values()))
    assert not re.search(MUST_NOT["customer"], "".join(CATEGORIES))


# --- the customer's level ---------------------------------------------------------------------------------------------
def answered(*reasons: Reason) -> Answer:
    decision = {"reason": int(Reason.SHOWN if Reason.SHOWN in reasons else reasons[0]), "channel": 0, "campaign": 0,
                "kind": int(EventKind.PAGE_VIEW)}  # fmt: skip
    return Answer(decision, [], dict(enumerate(reasons)), False)


# Reasons that a customer cannot tell apart: which limit, which lot, whether an account is under suspicion.
ALIKE = [
    (Reason.BACK_OFF, Reason.COOL_DOWN, Reason.CAMPAIGN_CAP, Reason.CHANNEL_CAP, Reason.TOTAL_CAP),
    (Reason.PAUSED, Reason.OUT_OF_STOCK, Reason.BUDGET, Reason.LOST_ARBITRATION, Reason.HELD_OUT),
    (Reason.MINOR, Reason.BLOCKED),
    (Reason.NOT_IN_AUDIENCE, Reason.CONDITION),
]


@pytest.mark.parametrize("reasons", ALIKE, ids=lambda reasons: reasons[0].name.lower())
def test_a_prober_cannot_tell_them_apart(reasons: tuple[Reason, ...]) -> None:
    views = [customer_view([answered(reason)], {}, "Example Bank") for reason in reasons]
    assert all(view == views[0] for view in views)
    assert customer_view([answered(*reasons)] * 9, {}, "Example Bank") == views[0]  # nor count them


ASK = "Ask Example Bank why, object, or choose what you receive. A person looks at it."
TOLD = f"""\
Messages from Example Bank
  You were shown a pop-up on a page that you had opened.
  Some were chosen by what Example Bank knows of you. You can switch that off in the settings: personalisation.
Why you were not shown others, or not at once
  You should not be disturbed too often.
  Nothing was on offer at that moment.
{ASK}"""


def test_what_a_customer_is_told() -> None:
    seen = [answered(Reason.SHOWN, Reason.LOST_ARBITRATION), answered(Reason.TOTAL_CAP), answered(Reason.SHOWN)]
    assert "\n".join(customer_lines(customer_view(seen, {0: True}, "Example Bank"))) == TOLD
    nothing = customer_lines(customer_view([], {}, "Example Bank"))
    assert list(nothing) == ["Messages from Example Bank", "  You were shown none.", ASK]


# --- the auditor's level ----------------------------------------------------------------------------------------------
SHOP = (
    POLICY.replace("ad_label: true", 'ad_label: true, opt_out: "Settings"')
    .replace("    reward: 20.00\n", "    reward: 20.00\n    WHO\n    FREQUENCY\n")
    .replace("dwell: 5s}", "WHEN}")
    .replace("universal_holdout: {share: 10%}\n", "FATIGUE\n")
    .replace("    holdout: {share: 50%}\n", "    HOLDOUT\n")
)
NINE = 1_788_710_400_000 + 9 * HOUR_MS  # Monday 2026-09-07 in Shanghai
NOBODY_YET = {"birth_date": 19900101, "home_city": 1, "purchase_ms": LONG_AGO_MS, "points_expire_ms": NEVER_MS,
              "joined_ms": NINE - 40 * DAY_MS, "marks": int(Flag.CARD_ACTIVE), "balance": 12345}  # fmt: skip
Fields = dict[str, int]


class Closed:
    """A bulletin that says no to one question about every campaign."""

    def __init__(self, shut: str) -> None:
        self.pacing_price = [0, 0]
        for name in ("open", "in_stock", "in_budget"):
            setattr(self, name, [int(name != shut)] * 2)


def shop_policy(edits: dict[str, str]) -> Policy:
    text = SHOP
    for word in ("WHO", "FREQUENCY", "FATIGUE", "HOLDOUT", "WHEN"):
        text = text.replace(word, edits[word]) if word in edits else re.sub(rf"(, {word}| *{word}\n)", "", text)
    return load_text(text, "policy.yaml", Policy)


def judged(edits: dict[str, str], events: list[Fields], profile: Fields, shut: str = "") -> str:
    """What an auditor reads of the campaign `spring` at the last of some events of one customer."""
    engine = Witness(shop_policy(edits), {"spring": 0, "bill_ready": 1})
    row = records(1, CUSTOMER)
    for name, value in {**NOBODY_YET, **profile}.items():
        row[0][name] = value
    engine.add(0, row[0])
    for number, fields in enumerate(events):
        event = records(1, EVENT)[0]
        filled = {"kind": EventKind.PAGE_VIEW, "campaign": NONE, "exposure": NONE, "channel": NONE}
        for name, value in {**filled, "time_ms": NINE, "sequence": number, "page_view": number + 1, **fields}.items():
            event[name] = value
        answer = engine.decide(event, Closed(shut))
    found: Evidence = engine.evidence[0]
    code = answer.reasons[0].name.lower()
    line = {"candidates": {"spring": code}, "channel": None, "families": {"spring": FAMILIES[answer.reasons[0]]},
            "evidence": {"spring": vars(found)}}  # fmt: skip
    return re.sub(r"lot [\d,]+ of", "lot LOT of", candidate_words(line, "spring", 0).strip())


HOME: Fields = {}
CLOSE: Fields = {"kind": EventKind.CLOSE, "campaign": 0, "exposure": 0, "page_view": 1}
MUTE, SNOOZE = {**CLOSE, "kind": EventKind.MUTE}, {**CLOSE, "kind": EventKind.SNOOZE}
LEAVE: Fields = {"kind": EventKind.PAGE_LEAVE}
DWELL: Fields = {"kind": EventKind.PAGE_DWELL, "dwell_ms": 5000, "page_view": 1}


def later(ms: int, **fields: int) -> Fields:
    return {"time_ms": NINE + ms, **fields}


# Edits of the policy, events at nine o'clock on Monday, what differs in the customer: what is read of `spring`.
JUDGED: list[tuple[dict[str, str], list[Fields], Fields, str]] = [
    ({"WHO": "window: {from: 2026-10-01, until: 2026-11-01}"}, [HOME], {},
     "schedule: outside the campaign's dates: 2026-09-07 09:00:00, from 2026-10-01 and before 2026-11-01"),
    ({}, [HOME], {"marks": Flag.BLOCKED},
     "account: customer is blocked: the account is blocked, an account that is not"),
    ({}, [HOME], {"birth_date": 20090908},
     "law: customer is, or is likely, a minor: age 16, at least 18, or a service message"),
    ({}, [HOME], {"marks": Flag.LIKELY_MINOR},
     "law: customer is, or is likely, a minor: age 36, likely a minor, at least 18, or a service message"),
    ({"WHO": "channel: voice"}, [HOME], {"consent": 2},
     "consent: no consent for this channel: consents to push, consent to voice"),
    ({"WHO": "audience: card_active"}, [HOME], {"marks": Flag.PERSONALISATION_OFF},
     ("consent: customer has personalisation off: personalisation is off, the campaign reads `card_active`, "
      "personalisation on, or a campaign that reads no fact")),
    ({"WHO": "audience: card_active and not card_used"}, [HOME], {"marks": Flag.CARD_ACTIVE | Flag.CARD_USED},
     "audience: not in the audience: card_used is true, must be `card_active and not card_used`"),
    ({"WHO": "audience: balance < 50.00 or tier == gold or home_city in [beijing]"}, [HOME], {"tier": 1},
     ("audience: not in the audience: balance is 123.45, tier is plain, home_city is wuhan, "
      "must be `balance < 50.00 or tier == gold or home_city in [beijing]`")),
    ({"WHO": "audience: not (tag.thrifty or days_since_purchase > 9)"}, [HOME], {},
     ("audience: not in the audience: days_since_purchase is never, "
      "must be `not (tag.thrifty or days_since_purchase > 9)`")),
    ({"WHEN": "when: hour >= 18"}, [HOME], {}, "audience: condition not met: hour is 9, must be `hour >= 18`"),
    ({"WHEN": "dwell: 5s"}, [HOME], {}, "page: not long enough on the page: page just opened, at least 5s on it"),
    ({"WHEN": "dwell: 5s"}, [LEAVE, DWELL], {},
     "page: not long enough on the page: the page was left, at least 5s on it"),
    ({"FATIGUE": "protected_pages: [home, pay]"}, [HOME], {},
     "page: protected page, such as payment: page home, none of home, pay"),
    ({}, [HOME, CLOSE, later(0, page_view=1)], {},
     "page: a message was closed on this page view: closed on page view 1, no message closed on this page view"),
    ({}, [HOME, MUTE, HOME], {},
     "customer's wish: muted: “don't show again”: the customer said “don't show again”, never again"),
    ({}, [HOME, SNOOZE, later(HOUR_MS)], {},
     "customer's wish: snoozed: “remind me later”: 2026-09-07 10:00:00, not before 2026-09-08 09:00:00"),
    ({"FATIGUE": 'fatigue: {quiet_hours: {from: "22:00", until: "09:30"}}'}, [later(59_000)], {},
     "quiet hours: 09:00:59, not from 22:00 until 09:30"),
    ({"FATIGUE": "fatigue: {back_off: {closes: 1, rest: 7d}}"}, [HOME, CLOSE, later(HOUR_MS)], {},
     ("frequency: back-off after closes in a row: 2026-09-07 10:00:00, not before 2026-09-14 09:00:00, "
      "after 1 close in a row")),
    ({"FREQUENCY": "frequency: {cool_down: 24h}"}, [HOME, later(3 * HOUR_MS)], {},
     "frequency: cool-down: shown too recently: last shown 3h ago, at least 1d"),
    ({"FREQUENCY": "frequency: {cool_down: 24h}", "HOLDOUT": "holdout: {share: 100%}"},
     [HOME, later(90 * MINUTE_MS)], {},
     "frequency: cool-down: shown too recently: last held out 1h 30min ago, at least 1d"),
    ({"FREQUENCY": "frequency: {caps: [{most: 2, per: 3d}]}"}, [HOME, HOME, HOME], {},
     "frequency: cap of this campaign reached: 2 in 3d, at most 2"),
    ({"FATIGUE": "fatigue: {channels: {popup: {caps: [{most: 1, per: day}, {most: 1, per: month}]}}}"},
     [HOME, HOME], {},
     "frequency: cap of this channel reached: 1 in this day and 1 in this month, at most 1 and at most 1"),
    ({"FATIGUE": "fatigue: {caps: [{most: 9, per: day}, {most: 2, per: week}]}"}, [HOME, HOME, later(DAY_MS)], {},
     "frequency: cap over all messages reached: 2 in this week, at most 2"),
    ({"HOLDOUT": "holdout: {share: 100%}"}, [HOME], {},
     ("measurement: held out for measurement: priority 0, score 0 fen, campaign's lot LOT of 1,000,000, "
      "held out below 1,000,000")),
    ({"HOLDOUT": "holdout: {share: 0%}"}, [HOME], {},
     "→ spring  shown: priority 0, score 0 fen, campaign's lot LOT of 1,000,000, held out below 0"),
]  # fmt: skip


@pytest.mark.parametrize(("edits", "events", "profile", "words"), JUDGED, ids=[words[:40] for *_, words in JUDGED])
def test_the_evidence(edits: dict[str, str], events: list[Fields], profile: Fields, words: str) -> None:
    assert judged(edits, events, profile).removeprefix("spring  ") == words


BULLETIN = {
    "open": "schedule: campaign paused: not open in the bulletin, must be open",
    "in_stock": "supply: reward out of stock: not in stock in the bulletin, must be in stock",
    "in_budget": "supply: budget used up: not within budget in the bulletin, must be within budget",
}


@pytest.mark.parametrize("shut", BULLETIN)
def test_the_evidence_of_the_bulletin(shut: str) -> None:
    assert judged({}, [HOME], {}, shut) == f"spring  {BULLETIN[shut]}"


def test_a_length_of_time_is_never_longer_than_it_was() -> None:
    for ms, words in ((0, "less than 1s"), (999, "less than 1s"), (59_999, "59s"), (60_000, "1min"),
                      (3_599_999, "59min 59s"), (DAY_MS - 1, "23h 59min"), (DAY_MS + MINUTE_MS, "1d")):  # fmt: skip
        assert span_text(ms) == words
