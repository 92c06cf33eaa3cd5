"""Adversaries against a wall: they obtain money where nothing stops them, see no rule, and learn from refusals."""

from dataclasses import replace

import pytest

from engine.coupon_records import Answer
from engine.fraud_records import Agent
from engine.records import DAY_MS, EventKind
from sim.adversaries import crew
from sim.adversaries.market import Market
from sim.adversaries.means import DATA_CENTRE_IPS, DATA_CENTRES, Pool, Purse, Thing, thing_numbers
from sim.origin_model import FRAUD, Account
from sim.slow import KeyLog
from sim.streams import Draw
from tests.sim.wall import OFF, PLAN, RULE, Asked, Wall, scene


def never(claims: list[Asked]) -> bool:
    return False


def always(claims: list[Asked]) -> bool:
    return True


def over_today(field: str, most: int, claims: list[Asked]) -> bool:
    """More than so many claims of one device or address on a day."""
    last = claims[-1]
    same = [c for c in claims if getattr(c, field) == getattr(last, field) and c.t // DAY_MS == last.t // DAY_MS]
    return len(same) > most


# --- money ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", FRAUD, ids=lambda kind: kind.name.lower())
def test_every_kind_obtains_money_where_no_rule_is_active(kind: Account) -> None:
    wall = Wall(replace(PLAN, kind=kind), never).live(7)
    (takings,) = wall.underworld.takings()
    assert takings.accounts == PLAN.accounts
    assert takings.net > takings.honest > 0, takings
    assert takings.refused == 0
    assert (takings.resale > 0) == (kind == Account.SCALPER)
    assert (takings.rewards > 0) == (kind == Account.REFERRAL_FARM)
    if kind not in (Account.SCALPER, Account.PROBER):
        assert takings.face == PLAN.accounts * OFF


@pytest.mark.parametrize("kind", FRAUD, ids=lambda kind: kind.name.lower())
def test_a_wall_costs_them_what_they_put_in_and_no_more(kind: Account) -> None:
    wall = Wall(replace(PLAN, kind=kind), always).live(9)
    (takings,) = wall.underworld.takings()
    assert (takings.face, takings.resale, takings.rewards) == (0, 0, 0)
    assert 0 < takings.costs <= PLAN.budget
    assert takings.refused > 0
    assert takings.honest > 0  # nobody refuses the persons' own accounts


def test_books_balance() -> None:
    crew = Wall(PLAN, lambda claims: over_today("device", 3, claims)).live(9).crew
    goods = crew.books.face // OFF * 300  # 5 % of a cart of 60.00
    assert crew.books.costs == sum(crew.purse.spent.values()) + goods
    assert crew.purse.left == crew.plan.budget + crew.books.net
    assert crew.purse.left >= 0


def test_the_same_seed_gives_the_same_events() -> None:
    (one, _), (other, _) = (Wall(PLAN, always).live(3).log() for _ in range(2))
    assert one.tobytes() == other.tobytes()


def test_no_key_of_theirs_is_drawn_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    log = KeyLog(crew.draw, frozenset())
    monkeypatch.setattr(crew, "draw", log.uniforms)
    Wall(replace(PLAN, kind=Account.BOT), lambda claims: over_today("device", 3, claims)).live(3)
    assert len(log.seen) > 100
    assert {draw for _, draw, _ in log.seen} == {Draw.SCHEME}


# --- what they see ----------------------------------------------------------------------------------------------------
def test_which_rule_it_was_makes_no_difference_to_them() -> None:
    """They see the customer's level: denied, challenged, weaker, in review."""
    refuses = lambda claims: over_today("device", 2, claims)  # noqa: E731
    for answer in (Answer.DENIED, Answer.IN_REVIEW, Answer.CHALLENGED):
        (one, its), (other, others) = (Wall(PLAN, refuses, answer, rule).live(4).log() for rule in (RULE, RULE + 1))
        assert one.tobytes() == other.tobytes()
        assert its.tobytes() == others.tobytes()
    denied, challenged = (Wall(PLAN, refuses, answer).live(4) for answer in (Answer.DENIED, Answer.CHALLENGED))
    assert denied.log()[0].tobytes() != challenged.log()[0].tobytes()
    assert set(challenged.crew.books.refused) == {"challenged"}


def test_a_challenge_is_passed_where_money_buys_it() -> None:
    wall = Wall(PLAN, lambda claims: len(claims) == 1, Answer.CHALLENGED)
    wall.crew.scene.__dict__["solves"] = 1.0
    wall.live(2)
    events, _ = wall.log()
    kinds = events["kind"].tolist()
    assert kinds.count(EventKind.CHALLENGE_PASSED) == 1
    assert wall.crew.purse.spent["challenge"] == wall.crew.scene.prices.challenge
    assert wall.crew.books.face == PLAN.accounts * OFF


# --- what they learn --------------------------------------------------------------------------------------------------
def test_a_ring_turns_devices_until_it_is_refused_no_more() -> None:
    wall = Wall(PLAN, lambda claims: over_today("device", 3, claims)).live(38)
    late = [asked for asked in wall.claims if asked.t > 22 * DAY_MS and asked.account > 1_000]
    first, last = wall.claims[1].device, late[-1].device
    assert first != last
    assert wall.crew.pools[Thing.DEVICE].most in (1, 2, 3)
    refused = [over_today("device", 3, wall.claims[: n + 1]) for n in range(len(wall.claims))]
    assert any(refused)
    assert not any(refused[-len(late) :])


def test_one_person_with_many_accounts_makes_do_with_fewer_a_day() -> None:
    plan = replace(PLAN, kind=Account.MANY_ACCOUNTS, budget=6_000, devices=1)
    wall = Wall(plan, lambda claims: over_today("device", 4, claims)).live(12)
    refused = [n for n in range(len(wall.claims)) if over_today("device", 4, wall.claims[: n + 1])]
    assert 0 < len(refused) < 8
    assert len({asked.device for asked in wall.claims if asked.account > 1_000}) == 1
    assert wall.crew.books.face >= 15 * OFF


def test_rotating_addresses_gives_up_data_centres_once_they_are_known() -> None:
    def is_rented(ip: int) -> bool:
        return DATA_CENTRES <= ip < DATA_CENTRES + DATA_CENTRE_IPS

    wall = Wall(replace(PLAN, kind=Account.IP_ROTATION), lambda claims: is_rented(claims[-1].ip)).live(3)
    ips = [asked.ip for asked in wall.claims if asked.account > 1_000]
    assert [is_rented(ip) for ip in ips] == [True] + [False] * (len(ips) - 1)
    assert len(set(ips)) == len(ips)
    assert wall.crew.books.face == (len(ips) - 1) * OFF > 0


def test_a_bot_learns_to_look_like_a_person() -> None:
    wall = Wall(replace(PLAN, kind=Account.BOT), lambda claims: claims[-1].agent == Agent.SCRIPT).live(9)
    agents = [asked.agent for asked in wall.claims if asked.account > 1_000]
    assert agents[0] == Agent.SCRIPT
    assert agents[-1] == Agent.APP
    assert wall.crew.books.face > 0


@pytest.mark.parametrize("most", [2, 5, 11])
def test_a_prober_finds_the_threshold_and_stays_below(most: int) -> None:
    plan = replace(PLAN, kind=Account.PROBER, accounts=60, devices=30, budget=500_000)
    wall = Wall(plan, lambda claims: over_today("device", most, claims)).live(10)
    found = wall.crew.pools[Thing.DEVICE].most
    assert found is not None
    assert most // 2 <= found <= most
    late = [n for n, asked in enumerate(wall.claims) if asked.t > 4 * DAY_MS]
    assert not any(over_today("device", most, wall.claims[: n + 1]) for n in late)


def test_slow_accounts_look_around_for_days_before_they_strike() -> None:
    wall = Wall(replace(PLAN, kind=Account.SLOW), never).live(7)
    events, _ = wall.log()
    recruits = events[events["customer"] > 1_000]
    claims = recruits["time_ms"][recruits["kind"] == EventKind.CLAIM]
    joined = recruits["time_ms"][recruits["kind"] == EventKind.REGISTER]
    assert claims.min() - joined.max() > PLAN.ages_ms // 2
    assert claims.max() - claims.min() < DAY_MS


# --- their means ------------------------------------------------------------------------------------------------------
def test_a_price_falls_with_supply_and_recovers() -> None:
    market = Market(0.6, 100.0, DAY_MS)
    prices = [market.sell(1_000, 0) for _ in range(101)]
    assert prices[0] == 600
    assert prices == sorted(prices, reverse=True)
    assert prices[100] == int(600 * 2.718281828459045**-1)
    assert market.price(1_000, 30 * DAY_MS) == 600 - 1


def test_a_pool_counts_uses_by_day() -> None:
    pool = Pool(Thing.DEVICE, thing_numbers(0, Thing.DEVICE), 2, most=2)
    one, other = pool.things
    pool.use(one, 0)
    pool.use(one, 1)
    assert pool.is_worn(one, 2)
    assert pool.turn(3)
    assert pool.at_hand == other
    assert not pool.is_worn(other, 3)
    pool.use(other, 4)
    pool.use(other, 5)
    assert not pool.turn(6)  # both are worn
    assert not pool.is_worn(one, DAY_MS)
    pool.burn(one)
    assert pool.is_worn(one, DAY_MS)
    purse = Purse(100)
    assert not purse.pay("device", 101)
    assert purse.pay("device", 100)
    assert purse.left == 0


def test_the_cart_is_the_smallest_that_reaches_the_threshold() -> None:
    assert scene().cart(0) == [(2_000, 3, 0, 0, 0)]
