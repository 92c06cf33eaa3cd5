"""Tables of rows: what the engine decides for somebody thought of; each row notices, and says what it misses."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from engine.policy.yaml_source import DocumentError
from scenarios.exits import Exit
from scenarios.mutant_judging import KILLED, ROWS, Bench, standing, steps_of
from scenarios.mutants import Mutant
from scenarios.rows import load_rows
from scenarios.rows_document import EXPECTED
from scenarios.rows_played import HELD_OUT, Played, plays_of
from tests.scenarios.shop import cli

LIBRARY = Path(__file__).resolve().parents[2] / "scenarios" / "library"
TABLES = sorted(LIBRARY.glob("*.rows.yaml"))


def played(path: Path, **changes: str) -> list[Played]:
    return [play() for _, play in plays_of(load_rows(path, changes))]


def table(tmp_path: Path, steps: str, policy: str = "bank_card", more: str = "") -> Path:
    """A table of one row about a policy of the library."""
    path = tmp_path / "own.rows.yaml"
    path.write_text(
        f"table: own\npolicy: {LIBRARY}/policies/{policy}.yaml\nstart: 2026-11-11 10:00\n"
        "customer: {joined: 400d, bought: 5d, card_active: true, card_used: true, home_city: beijing}\n"
        f"rows:\n  - says: somebody\n{more}    steps:\n{steps}"
    )
    return path


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.name)
def test_the_library_holds(path: Path) -> None:
    missed = [row.sentence() for row in played(path) if row.missed]
    assert not missed, "\n".join(missed)


# --- a slip of a policy, and the row that notices ---------------------------------------------------------------------
PEACE = "who closes three messages is left in peace for a week, then for two, then for four, and never longer"
SLIPS = {
    "bank_card": {
        "campaigns.first_use.frequency.cool_down": ("12h", "the offer of the first use rests for a day"),
        "campaigns.first_use.goal.window": ("7d", "a first payment 13 days later is the offer's"),
        "campaigns.first_use.holdout.sees": (
            "next_best", "who is held out from the first use sees nothing in its place",
        ),
        "campaigns.low_balance.audience": (
            "balance < 100.00 and card_used", "who looks at a balance of 50.00 is left alone",
        ),
        "campaigns.card_lock.remind_after": (
            "4d", "who asks to be reminded of the lock is, two days later, three times in 14 days",
        ),
        "fatigue.quiet_hours.from": ('"00:00"', "no message between ten in the evening and eight in the morning"),
        "fatigue.back_off.rest": ("14d", PEACE),
        "universal_holdout.share": ("1%", HELD_OUT),
        "campaigns.first_use.holdout.share": ("25%", HELD_OUT),
        "universal_holdout": ("none", "who sees no campaign at all is told of the bill all the same"),
        "protected_pages[0]": ("none", "nobody is disturbed while paying"),
    },
    "coupon_shop": {
        "budgets.everyday.amount": ("800000.00", "everyday coupons may cost 400,000"),
        "budgets.win_back.reserve": (
            "none", "winning back may cost 100,000, and 20,000 more once nine tenths of that are used",
        ),
        "fatigue.caps[0].most": ("1", "five messages in four days are not too many"),
    },
    "stampede": {
        "coupons.midnight_100.over": ("100.00", "100 are taken off a cart of 200, and of no smaller one"),
        "coupons.midnight_100.valid": ("36h", "it is valid for three days"),
        "coupons.midnight_100.claim.until": ("none", "nobody gets it when the day is over"),
    },
}  # fmt: skip


@pytest.mark.parametrize(("policy", "path"), [(policy, path) for policy in SLIPS for path in SLIPS[policy]])
def test_a_slip_is_noticed(policy: str, path: str) -> None:
    text, says = SLIPS[policy][path]
    assert says in {row.text for row in played(LIBRARY / f"{policy}.rows.yaml", **{path: text}) if row.missed}


def test_a_row_kills_a_mutant() -> None:
    """… before anything is lived."""
    file = LIBRARY / "stampede.rows.yaml"
    (step,) = steps_of(file, None)
    bench = Bench((standing(step, None),), None)
    assert step.test == ROWS and not any(one.missed for one in bench.stands[0].verdicts)
    over = "coupons.midnight_100.over"
    fate = bench.fate(Mutant(step.policy, 22, over, "200.00", "400.00", "400.00"))
    assert (fate.outcome, fate.by) == (KILLED, "100 are taken off a cart of 200, and of no smaller one")
    assert bench.fate(Mutant(step.policy, 29, "coupons.midnight_100.text", "…", "…", "Another")).outcome != KILLED


# --- what is said -----------------------------------------------------------------------------------------------------
MISSES = {
    "bank_card": {
        "{event: login, city: xian, shows: nothing}": "must show nothing (showed other_city_login)",
        "{event: page_view, page: card, shows: card_lock}": "must show card_lock (showed nothing; card_lock: dwell)",
        "{event: login, city: xian, looks: {style: banner}}": "must show a message with style: banner (got overlay)",
        "{event: login, city: beijing, looks: {mute: true}}": "must show a message with mute: true (got nothing)",
        "{event: login, city: xian, refuses: {other_city_login: cool_down}}":
            "must refuse other_city_login for cool_down (got shown)",
        "{event: login, city: xian, refuses: {low_balance: back_off}}":
            "must refuse low_balance for back_off (got no_candidate)",
        "{event: payment, amount: 3.00, credits: card_lock}": "must credit card_lock (credited nothing)",
        "{event: login, segment: new}": "must be by a customer of segment new (got other)",
        "{event: close, shows: nothing}": "cannot be: there is no message that close could be about",
        "{event: login, at: '2026-11-11 09:59', shows: nothing}": "cannot be: it lies before the step before it",
        "{event: moment, moment: bill_day, shows: bill_ready}": "cannot be: the calendar makes no bill_day then",
    },
    "stampede": {
        "{claim: midnight_100, looks: {urgency: days}}": "must show a coupon with urgency: days (got pieces)",
        "{claim: midnight_100, answers: limit}": "must answer limit (answered done)",
        "{quote: [{price: 10.00}], pays: 9.00}": "must have pays: 9.00 (got 10.00)",
        "{quote: [{price: 10.00}], saves: 9.00}": "must have saves: 9.00 (got 0)",
        "{quote: [{price: 10.00}], uses: [midnight_100]}": "must use midnight_100 (used none)",
        "{claim: midnight_100, charges: {midnight: 90.00}}": "must charge 90.00 to midnight (charged 100.00)",
        "{refund: 1, returns: 5.00}": "must have returns: 5.00 (got 0)",
        "{refund: 1, answers: done}": "must answer done (answered no_order)",
        "{redeem: midnight_100, answers: done}": "cannot be: there is no midnight_100 to redeem",
    },
}  # fmt: skip


@pytest.mark.parametrize(("policy", "step"), [(policy, step) for policy in MISSES for step in MISSES[policy]])
def test_a_miss_says_what_was_decided(tmp_path: Path, policy: str, step: str) -> None:
    path = table(tmp_path, f"      - {step}\n", policy)
    (row,) = played(path)
    deed = step[1:].split(":")[0] if not step.startswith("{event") else step.split()[1].strip(",")
    assert row.sentence() == f"{path}:6: step 1 ({deed}) {MISSES[policy][step]}"


def test_every_expectation_can_be_missed() -> None:
    said = " ".join(step for policy in MISSES.values() for step in policy)
    assert [name for name in EXPECTED if f"{name}:" not in said] == ["rule"], "and that one below"


FRAUD = """\
      - {claim: everyday_10, others: true, times: 2, origin: {device: d1}, answers: done}
      - {claim: everyday_10, others: true, times: 8, origin: {device: d1}, rule: claims_per_device}
      - {claim: everyday_10, others: true, origin: {device: d2}, answers: done}
      - {claim: everyday_10, others: true, origin: {device: d1}, answers: done, rule: young_account}
"""


def test_others_share_what_they_come_from(tmp_path: Path) -> None:
    """Two accounts of a device, and no ten; another device is none of it."""
    (row,) = played(table(tmp_path, FRAUD, "fraud_shop"))
    assert [miss.partition(") ")[2] for miss in row.misses] == [
        "must answer done (answered challenged, by claims_per_device)",
        "must be answered by fraud rule young_account (got claims_per_device)",
    ]
    quiet = {"fraud.rules.claims_per_device": "{mode: off}"}
    assert load_rows(table(tmp_path, FRAUD, "fraud_shop"), quiet), "what is off may still be named"


GROUPS = """\
    held_out: [first_use]
    arms: {offer_of_the_day: plain}
    spent: {treasury: 1.00}
"""
NAMES = """\
      - {event: page_view, page: nowhere, shows: gone, refuses: {first_use: tired, absent: muted}, credits: gone}
      - {claim: gone, answers: perhaps, rule: strict, charges: {gone: 1.00}, origin: {device: d}, place: hall}
      - {quote: [{price: 1.00, category: fish}], uses: [gone]}
      - {event: moment, moment: dusk, segment: rich}
"""


def test_every_unknown_name_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as error:
        load_rows(table(tmp_path, NAMES, more=GROUPS))
    problems = [problem.split(" ", 1)[1] for problem in error.value.problems]
    assert [problem.partition(" must be ")[0].removeprefix("rows[0].") for problem in problems] == [
        "arms.offer_of_the_day", "spent.treasury", "steps[0].page", "steps[0].shows", "steps[0].credits",
        "steps[0].refuses.first_use",
        "steps[0].refuses.absent", "steps[1].claim", "steps[1].place", "steps[1].answers", "steps[1].rule",
        "steps[1].charges.gone", "steps[2].uses[0]", "steps[2].quote[0].category", "steps[3].moment",
        "steps[3].segment",
    ]  # fmt: skip
    assert problems[2] == (
        "rows[0].steps[0].page must be a page of the policy: home, balance, bill, offers, card, … (got nowhere)"
    )


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ("      - {event: login}\n", "rows[0].steps must expect something of a step"),
        ("      - {shows: nothing}\n", "must have exactly one of event, claim, quote"),
        ("      - {event: login, claim: c, shows: nothing}\n", "(got event and claim)"),
        ("      - {event: moment, shows: nothing}\n", "moment must be given with event: moment (got nothing)"),
        ("      - {event: login, times: 201, shows: nothing}\n", "times must be between 1 and 200 (got 201)"),
        ("      - {quote: [], pays: 1.00}\n", "quote must have 1 to 32 lines (got 0)"),
        ("      - {refund: 1, pieces: 2, returns: 1.00}\n", "line must be given: line and pieces go together"),
        ("      - {event: sneeze, shows: nothing}\n", "event must be"),
        (
            "      - {event: login, origin: {ip: 10.0.0}, shows: nothing}\n",
            "ip must be an address like 10.0.0.1 (got 10.0.0)",
        ),
        (
            "      - {event: login, at: '2028-01-01 10:00', shows: nothing}\n",
            "rows must begin and end within 400 days (got 419)",
        ),
    ],
)
def test_a_table_that_cannot_be_played(tmp_path: Path, steps: str, problem: str) -> None:
    with pytest.raises(DocumentError) as error:
        load_rows(table(tmp_path, steps))
    assert len(error.value.problems) == 1 and problem in error.value.problems[0], error.value.problems


def test_problems_of_the_table_and_its_policy_come_together(tmp_path: Path) -> None:
    path = table(tmp_path, "      - {event: sneeze, shows: nothing}\n", "no_such")
    with pytest.raises(DocumentError) as error:
        load_rows(path)
    one, other = error.value.problems
    assert one.startswith(f"{path}:8: rows[0].steps[0].event must be") and other.startswith(
        f"{LIBRARY}/policies/no_such.yaml"
    )


# --- windtunnel check -------------------------------------------------------------------------------------------------
def test_check_plays_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table(tmp_path, "      - {event: login, city: xian, shows: nothing}\n")
    (tmp_path / "right.rows.yaml").write_text(
        Path("own.rows.yaml").read_text("utf-8").replace("nothing", "other_city_login")
    )
    done = cli("check", ".", "--junit", "junit.xml", "--markdown", "found.md", "--beside", "1")
    assert done.code == Exit.MISSED
    assert done.out.splitlines()[:7] == [
        "own.rows.yaml: what is decided for people thought of",
        "  fails      somebody",
        "             own.rows.yaml:6: step 1 (login) must show nothing (showed other_city_login)",
        "",
        "right.rows.yaml: what is decided for people thought of",
        "  holds      1 row",
        "",
    ]
    assert done.out.splitlines()[7].startswith("0 scenarios. 0 expectations. 2 rows: 1 fail, 1 hold.  (")
    (suite,) = ElementTree.parse("junit.xml").getroot()
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("2", "1")
    assert "step 1 (login) must show nothing" in Path("found.md").read_text("utf-8")
    said = json.loads(cli("check", "own.rows.yaml", "--json").out)
    assert (said["rows"], said["exit_code"]) == ({"fail": 1}, Exit.MISSED)
    Path("right.rows.yaml").write_text("table: right\n")
    assert cli("check", "right.rows.yaml").code == Exit.WRONG_USE
