"""Where honest customers come from: who shares what with whom, where they are, and how they take what rules say."""

from collections import defaultdict
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from engine.compiled import entry
from engine.coupon_records import REPLY, Answer, RequestKind
from engine.records import HOUR_MS, NONE, EventKind, records
from scenarios.lone_world import LoneWorld
from scenarios.run import RunOptions, live
from scenarios.worker import CohortWorker, RunPlan
from sim.cohort import Cohort
from sim.origin_model import LOOK_ALIKES, Account, Harm
from sim.origins import CARRIERS, GROUP_HOMES, HOMES, HOTELS, TRACED, TRAVEL_LEAST_MS, group_of
from tests.sim.origin_worlds import RULE, StubbornWorld, traced_plan
from tests.sim.shop_worlds import EAGER, library_plan

CUSTOMERS, DAYS = 400, (2, 7, 2)
which_group = entry(group_of)


@cache
def lived(stubborn: bool) -> StubbornWorld:
    world = StubbornWorld(traced_plan(CUSTOMERS, *DAYS), CUSTOMERS, stubborn)
    world.run()
    return world


@cache
def groups() -> list[tuple[int, int]]:
    """(kind, group) of each customer; those of no group are each their own."""
    model = lived(False).worker.cohort.model
    found = [which_group(model, customer) for customer in range(CUSTOMERS)]
    return [(kind, group if group != NONE else ~customer) for customer, (kind, group) in enumerate(found)]


def holders(field: str) -> dict[int, set[int]]:
    """Customers by the value of a field that their events carried."""
    events, origins, _ = lived(False).kept.tables()
    known = (events["origin"] != NONE) & (origins[field] != NONE)
    found = defaultdict(set)
    for customer, value in zip(events["customer"][known].tolist(), origins[field][known].tolist(), strict=True):
        found[value].add(customer)
    return found


def is_place(ip: int) -> bool:
    """A home's or an office's address, not one that a hotel or a carrier hands out."""
    return HOMES <= ip < HOTELS or ip >= GROUP_HOMES


# --- who shares what --------------------------------------------------------------------------------------------------
TABLE = """
kind       device_id  ip   address  card
ALONE      no         no   no       no
FAMILY     yes        yes  yes      no
DORMITORY  no         yes  no       no
OFFICE     no         yes  no       no
TABLET     yes        no   no       no
FLYER      no         no   no       no
"""


@pytest.mark.parametrize(
    "row", [pytest.param(row, marks=[] if number < 2 else pytest.mark.long)
            for number, row in enumerate(TABLE.split("\n")[2:-1])]
)  # fmt: skip
def test_look_alikes_share_what_they_should(row: str) -> None:
    kind, *words = row.split()
    for field, word in zip(TABLE.split("\n")[1].split()[1:], words, strict=True):
        shared = False
        for value, customers in holders(field).items():
            if field == "ip" and not is_place(value):
                continue
            members = {groups()[customer] for customer in customers}
            assert len(members) == 1, f"{field} {value} is shared by {members}: not one group"
            shared |= len(customers) > 1 and members.pop()[0] == Account[kind]
        assert shared == (word == "yes"), field


def test_groups_are_as_large_and_as_many_as_stated() -> None:
    kinds = lived(False).worker.cohort.kinds()
    stated = {Account.FAMILY: 0.30, Account.DORMITORY: 0.12, Account.OFFICE: 0.12, Account.TABLET: 0.06}
    for kind, share in stated.items():
        spread = (share * (1 - share) / CUSTOMERS) ** 0.5
        assert abs((kinds == kind).mean() - share) < 4 * spread, kind.name
    sizes = np.bincount([group for kind, group in groups() if kind == Account.FAMILY])
    assert 2.2 < sizes.mean() < 3.8
    assert set(LOOK_ALIKES) < set(np.unique(kinds).tolist())


def test_carriers_put_many_behind_one_address() -> None:
    behind = [len(customers) for ip, customers in holders("ip").items() if CARRIERS <= ip < GROUP_HOMES]
    assert len(behind) == CUSTOMERS // 20
    assert min(behind) > 20  # over nine days, by everybody who was behind it at some time


# --- where and when ---------------------------------------------------------------------------------------------------
def test_offices_are_seen_in_working_hours_only() -> None:
    events, origins, _ = lived(False).kept.tables()
    first = GROUP_HOMES + Account.OFFICE * (1 << 26)
    hours = events["time_ms"][(origins["ip"] >= first) & (origins["ip"] < first + (1 << 26))] // HOUR_MS + 8
    assert len(hours) > 50
    assert ((hours % 24 >= 9) & (hours % 24 < 18)).all()
    assert ((hours // 24 + 3) % 7 < 5).all()  # 1970-01-01 was a Thursday


def test_nobody_is_in_two_cities_sooner_than_one_can_travel() -> None:
    events, origins, _ = lived(False).kept.tables()
    kinds, cities = lived(False).worker.cohort.kinds(), defaultdict(set)
    order = np.lexsort((events["sequence"], events["customer"]))
    for before, after in zip(events[order][:-1], events[order][1:], strict=True):
        if before["customer"] == after["customer"] and before["city"] != after["city"]:
            assert after["time_ms"] - before["time_ms"] >= TRAVEL_LEAST_MS // 2, "travelled too fast"
        cities[kinds[after["customer"]]].add((int(after["customer"]), int(after["city"])))
    assert len(cities[Account.FLYER]) > 1.5 * (kinds == Account.FLYER).sum()
    others = [pair for kind, pairs in cities.items() if kind != Account.FLYER for pair in pairs]
    assert len(others) == len({customer for customer, _ in others})
    hotels = events["customer"][(origins["ip"] >= HOTELS) & (origins["ip"] < CARRIERS)]
    assert len(hotels) > 20
    assert (kinds[hotels] == Account.FLYER).all()


def test_every_kind_that_has_an_origin_carries_it() -> None:
    events, origins, _ = lived(False).kept.tables()
    traced = np.isin(events["kind"], TRACED)
    assert ((events["origin"] != NONE) == traced).all()
    assert (origins["card"][events["kind"] == EventKind.PAYMENT] != NONE).all()
    assert (origins["address"][events["kind"] == EventKind.ORDER] != NONE).all()
    invited = origins["inviter"][events["kind"] == EventKind.REGISTER]
    assert 0 < (invited != NONE).sum() < len(invited)
    for failed, then in ((EventKind.LOGIN_FAILED, EventKind.LOGIN), (EventKind.PAYMENT_DECLINED, EventKind.PAYMENT)):
        share = (events["kind"] == failed).sum() / (events["kind"] == then).sum()
        assert 0.03 < share < 0.25, failed.name


# --- what rules say ---------------------------------------------------------------------------------------------------
def test_the_challenged_pass_and_ask_again_or_give_up() -> None:
    events, _, asks = lived(True).kept.tables()
    traces = lived(True).worker.cohort.crowd.traces
    passed = events["kind"] == EventKind.CHALLENGE_PASSED
    assert passed.sum() > 60
    assert (asks["rule"][passed] == RULE).all()
    assert (asks["rule"][~passed & (events["ask"] != NONE)] == NONE).all()
    order = np.lexsort((events["sequence"], events["customer"]))
    again, asking = 0, (EventKind.CLAIM, EventKind.ORDER)
    for place in np.flatnonzero(passed[order]):
        rows = events[order][place + 1 : place + 8]
        again += bool(np.isin(rows["kind"][rows["customer"] == events[order][place]["customer"]], asking).any())
    assert again >= 0.9 * passed.sum()
    challenged, failed = traces["harms"] & Harm.CHALLENGED != 0, traces["harms"] & Harm.FAILED != 0
    assert 0.05 < failed.sum() / challenged.sum() < 0.5
    assert (challenged | ~failed).all()
    assert (traces["harms"][traces["appeal_ms"] > 0] & Harm.DENIED != 0).sum() > 5
    assert ((traces["appeal_rule"] == RULE) == (traces["appeal_ms"] > 0)).all()
    assert not (lived(False).worker.cohort.crowd.traces["harms"]).any()


# --- one answer -------------------------------------------------------------------------------------------------------
def digest(plan: RunPlan, shards: int) -> str:
    return live(plan, CUSTOMERS, RunOptions(shards=shards, inline=True), lambda share: None).digest


def test_shards_do_not_matter() -> None:
    plan = traced_plan(CUSTOMERS, *DAYS)
    assert digest(plan, 1) == digest(plan, 2) == digest(plan, 3) == lived(False).digest
    halves = [CohortWorker(plan, *part).cohort.kinds() for part in ((0, 150), (150, 250))]
    assert np.array_equal(np.concatenate(halves), lived(False).worker.cohort.kinds())


@pytest.mark.long
def test_where_nobody_says_nothing_is_written_and_nothing_changes() -> None:
    """Origins alone, without what goes wrong by itself, change no decision where no rule looks at them."""
    plan = library_plan("winback", CUSTOMERS, *DAYS, EAGER)
    silent = StubbornWorld(plan, CUSTOMERS, stubborn=False)
    silent.run()
    events, origins, _ = silent.kept.tables()
    assert (events["origin"] == NONE).all()
    assert not origins.view(np.int64).any()
    assert len(silent.worker.cohort.crowd.traces) == 0
    assert not silent.worker.cohort.kinds().any()
    people = traced_plan(CUSTOMERS, *DAYS).population.origins
    assert people is not None
    harmless = {"log_in_fails": {"share": 0}, "declined": {"share": 0}}
    quiet = people.model_copy(
        update={name: getattr(people, name).model_copy(update=change) for name, change in harmless.items()}
    )
    groups = quiet.groups
    ordinary = {
        "frequent_flyer": groups.frequent_flyer.model_copy(update={"away": 0}),
        "bargain_hunter": groups.bargain_hunter.model_copy(update={"share": 0}),
    }
    quiet = quiet.model_copy(update={"groups": groups.model_copy(update=ordinary)})
    told = replace(plan, population=plan.population.model_copy(update={"origins": quiet}))
    assert digest(told, 1) == silent.digest == digest(plan, 1)


def test_answers_that_no_rule_gave_are_nobody_s_harm() -> None:
    """The engine without rules denies and challenges nobody."""
    answers = {int(Answer.DENIED), int(Answer.CHALLENGED), int(Answer.IN_REVIEW)}
    ledger = lived(False).ledger
    assert ledger is not None
    assert all(not ledger.shared.stock["refused"][:, answer].any() for answer in answers)


ABOUT_COUPONS = (RequestKind.CLAIM, RequestKind.RESERVE, RequestKind.TRANSFER)


@pytest.mark.parametrize("kind", [kind for kind in RequestKind if kind not in ABOUT_COUPONS])
def test_a_reply_about_no_coupon_changes_nothing(kind: RequestKind) -> None:
    """A mark of a fraud rule, a listing: nobody is given, refused or harmed by it, whatever else stands in it."""
    plan = traced_plan(40, 1, 1, 0)
    world = LoneWorld(plan, 40)
    world.run(until=plan.spans.launch)
    cohort = world.worker.cohort
    replies = records(40, REPLY)
    replies["customer"], replies["kind"], replies["time_ms"] = np.arange(40), kind, plan.spans.launch
    replies["coupon"] = replies["terms"] = replies["number"] = replies["claim"] = NONE
    replies["rule"], replies["fired"], replies["expires_ms"] = RULE, 1 << RULE, plan.spans.launch + HOUR_MS
    replies["answer"] = np.arange(40) % (max(Answer) + 1)
    before = crowd_bytes(cohort)
    cohort.apply(replies, plan.spans.launch)
    assert crowd_bytes(cohort) == before
    replies["kind"], replies["coupon"], replies["terms"], replies["answer"] = RequestKind.CLAIM, 0, 0, Answer.DONE
    cohort.apply(replies, plan.spans.launch)
    assert crowd_bytes(cohort) != before


def crowd_bytes(cohort: Cohort) -> list[bytes]:
    """What customers have, and what is counted of verdicts."""
    crowd = cohort.crowd
    return [np.asarray(array).tobytes() for array in (crowd.shoppers, crowd.traces, crowd.callers, *crowd.verdicts)]
