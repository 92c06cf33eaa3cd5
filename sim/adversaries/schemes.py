"""What each kind of adversary does, and what each learns from being refused."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle

from engine.fraud_records import Agent
from engine.records import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, EventKind
from sim.adversaries.books import VIEWS_MOST, Visit
from sim.adversaries.crew import RIPENS_MS, Crew, Steps
from sim.adversaries.means import Pool, Thing, ip_numbers
from sim.origin_model import Account

IN_VAIN_MOST = 12  # visits in a row that are refused and bring nothing; then a crew lies low for a while
ON_ORDERS = frozenset({Thing.CARD, Thing.ADDRESS})
PROBED_MOST = 24  # uses of one thing that a prober tries

Learn = Callable[[Crew, Visit], None]  # something was refused


def attempt(crew: Crew, account: int, learn: Learn) -> Steps:
    """One account's visit from what is at hand, and what is learnt from it."""
    guise = crew.guise(account)
    if guise is None:
        return
    visit = Visit(account, guise)
    yield from crew.visit(account, guise, crew.habits, visit)
    crew.visits += visit.claims > 0
    crew.gain += visit.gain
    if not visit.refusals:
        crew.in_vain = 0
        return
    crew.in_vain = 0 if visit.gain > 0 else crew.in_vain + 1
    learn(crew, visit)
    if crew.in_vain >= IN_VAIN_MOST:
        crew.in_vain = 0
        yield crew.env.timeout(crew.plan.rests_ms)


def rounds(crew: Crew, learn: Learn) -> Steps:
    """Account after account, and all of them again when they have rested."""
    while True:
        began = crew.env.now
        for account in crew.recruits:
            yield crew.after(crew.plan.works_every_ms)
            yield from attempt(crew, account, learn)
        yield crew.env.timeout(max(began + crew.rests_ms - crew.env.now, 1))


# --- ring, one person with many accounts ------------------------------------------------------------------------------
def ring(crew: Crew) -> Steps:
    """Some persons with a few devices and addresses for many accounts: what is refused is changed."""
    yield crew.env.timeout(crew.plan.starts_ms)
    yield from rounds(crew, Crew.learn)


def many_accounts(crew: Crew) -> Steps:
    """One person, one phone: refused, they stop for the day and make do with fewer accounts a day."""
    yield crew.env.timeout(crew.plan.starts_ms)
    a_day = crew.plan.accounts
    accounts = cycle(crew.recruits)
    while True:
        began, refused = crew.env.now, False

        def stop(crew: Crew, visit: Visit) -> None:
            nonlocal refused
            refused = not crew.adapt_habits(visit)

        for used in range(1, a_day + 1):
            yield crew.after(crew.plan.works_every_ms)
            yield from attempt(crew, next(accounts), stop)
            if refused:
                a_day = max(1, used - 1)
                break
        if refused and a_day == 1:
            crew.let_go(Thing.DEVICE)
            crew.turn(Thing.DEVICE)  # the phone is set up anew, or another one bought
        pause = DAY_MS if refused or a_day < crew.plan.accounts else crew.plan.rests_ms
        yield crew.env.timeout(max(began + pause - crew.env.now, 1))


# --- scalpers ---------------------------------------------------------------------------------------------------------
def scalper(crew: Crew) -> Steps:
    """Accounts lie ready for whatever is scarce, take it within seconds, and sell it on."""
    crew.habits.sells = True
    yield crew.env.timeout(crew.plan.starts_ms)
    for t, slot in crew.scene.drops:
        if t > crew.env.now:
            yield crew.env.timeout(max(t - HOUR_MS - crew.env.now, 0))
            yield from lie_ready(crew)
            yield crew.env.timeout(max(t - crew.env.now, 0))
            for account in crew.recruits:
                crew.env.process(snatch(crew, account, slot))
            yield crew.env.timeout(HOUR_MS)
    yield from rounds(crew, Crew.learn)


def lie_ready(crew: Crew) -> Steps:
    """Every account is registered and logged in."""
    for account in crew.recruits:
        guise = crew.guise(account)
        if guise is not None and crew.enter(account, guise):
            crew.app.tell(account, EventKind.LOGIN, guise)
        yield crew.env.timeout(2 * SECOND_MS)


def snatch(crew: Crew, account: int, slot: int) -> Steps:
    """One account's claim in a drop, and its sale."""
    yield crew.after(2 * SECOND_MS)
    guise = crew.guise(account)
    if guise is None:
        return
    visit = Visit(account, guise)
    yield from crew.claim(account, slot, guise, visit)
    for sight in visit.granted:
        yield crew.after(10 * MINUTE_MS)
        yield from crew.turn_into_money(account, sight, guise, crew.habits, visit)
    if visit.refusals:
        crew.learn(visit)


# --- IP rotation, bots ------------------------------------------------------------------------------------------------
def ip_rotation(crew: Crew) -> Steps:
    """Another address and another emulated device at every visit: first rented ones, then other people's."""
    crew.pools[Thing.IP].most = crew.pools[Thing.DEVICE].most = 1
    crew.keeps = ON_ORDERS
    yield crew.env.timeout(crew.plan.starts_ms)
    yield from rounds(crew, hide_address)


def hide_address(crew: Crew, visit: Visit) -> None:
    """Addresses of data centres are known: from the first refusal on, those of other people's homes."""
    if crew.ip_price != crew.scene.prices.proxy:
        crew.ip_price = crew.scene.prices.proxy
        crew.pools[Thing.IP] = Pool(Thing.IP, ip_numbers(crew.number, rented=False), 1, most=1)
        crew.let_go(Thing.IP)
        crew.pay("ip", crew.ip_price)
    else:
        crew.learn(visit)


def bot(crew: Crew) -> Steps:
    """A program: many accounts at once, no looking around. Refused, it acts more and more like a person."""
    crew.habits.agent, crew.habits.views, crew.habits.pause_ms = Agent.SCRIPT, 0, SECOND_MS // 4
    yield crew.env.timeout(crew.plan.starts_ms)
    while True:
        for account in crew.recruits:
            yield crew.after(crew.plan.works_every_ms)
            crew.env.process(attempt(crew, account, act_human))
        yield crew.env.timeout(crew.rests_ms)


def act_human(crew: Crew, visit: Visit) -> None:
    """One thing at a time: another user agent, pages looked at, slower, and then other means."""
    habits = crew.habits
    if habits.agent == Agent.SCRIPT:
        habits.agent = Agent.APP
    elif habits.views < 6:
        habits.views += 3
    elif habits.pause_ms < 5 * SECOND_MS:
        habits.pause_ms *= 4
    else:
        hide_address(crew, visit)


# --- referral farm ----------------------------------------------------------------------------------------------------
def referral_farm(crew: Crew) -> Steps:
    """One account invites the others; each that is granted something brings the inviter a reward."""
    yield crew.env.timeout(crew.plan.starts_ms)
    inviters: Iterator[int] = iter(crew.recruits)
    inviter = next(inviters)
    yield from attempt(crew, inviter, Crew.learn)
    for account in inviters:
        yield crew.after(crew.plan.works_every_ms)
        guise = crew.guise(account)
        if guise is None:
            break
        visit = Visit(account, guise)
        yield from crew.visit(account, replace(guise, code=inviter, inviter=inviter), crew.habits, visit)
        if visit.granted and not visit.refusals:
            crew.earn(crew.scene.invite_reward, "rewards", inviter)
        elif visit.refusals:
            crew.learn(visit)
            inviter = account  # the chain goes on from the new one
    yield from rounds(crew, Crew.learn)


# --- threshold prober -------------------------------------------------------------------------------------------------
def prober(crew: Crew) -> Steps:
    """Finds by halves how often one device, then one address, may be used, and stays just below. Nothing else is to
    be refused meanwhile: accounts are opened first, and left to ripen."""
    crew.habits.views, crew.habits.ripens_ms, crew.keeps = VIEWS_MOST, RIPENS_MS, ON_ORDERS
    yield crew.env.timeout(crew.plan.starts_ms)
    yield from lie_ready(crew)
    yield crew.env.timeout(RIPENS_MS)
    accounts = cycle(crew.recruits)
    for thing in (Thing.DEVICE, Thing.IP):
        yield from bisect(crew, thing, accounts)
    yield from rounds(crew, Crew.learn)


def bisect(crew: Crew, thing: Thing, accounts: Iterator[int]) -> Steps:
    """Sets how often a thing is used before it is changed: the most that was not refused."""
    pool, safe, refused = crew.pools[thing], 0, PROBED_MOST + 1
    while refused - safe > 1:
        uses = (safe + refused) // 2
        if not crew.turn(thing, fresh=True):
            break
        pool.most = None
        said: list[bool] = []

        def hear(crew: Crew, visit: Visit, said: list[bool] = said) -> None:
            if visit.refused_at < 2 or not crew.adapt_habits(visit):
                said.append(True)

        for _ in range(uses):
            yield crew.after(crew.plan.works_every_ms)
            yield from attempt(crew, next(accounts), hear)
            if said:
                break
        safe, refused = (safe, uses) if said else (uses, refused)
    pool.most = max(safe, 1)


# --- slow accounts ----------------------------------------------------------------------------------------------------
def slow(crew: Crew) -> Steps:
    """Accounts are opened one by one and look around like customers for weeks; then all strike in one day."""
    yield crew.env.timeout(crew.plan.starts_ms)
    began = crew.env.now
    while crew.env.now - began < crew.plan.ages_ms:
        for account in crew.recruits:
            yield crew.after(crew.plan.works_every_ms)
            guise = crew.guise(account)
            if guise is not None and crew.enter(account, guise):
                yield from crew.browse(account, guise, crew.habits)
        left = began + crew.plan.ages_ms - crew.env.now
        yield crew.env.timeout(max(min(crew.plan.rests_ms, left), 1))
    yield from rounds(crew, Crew.learn)


SCHEMES: dict[Account, Callable[[Crew], Steps]] = {
    Account.RING: ring,
    Account.MANY_ACCOUNTS: many_accounts,
    Account.SCALPER: scalper,
    Account.IP_ROTATION: ip_rotation,
    Account.BOT: bot,
    Account.REFERRAL_FARM: referral_farm,
    Account.PROBER: prober,
    Account.SLOW: slow,
}
