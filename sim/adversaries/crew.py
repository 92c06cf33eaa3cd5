"""A crew: accounts, means and books, and the visits its accounts make: register, browse, claim, redeem or sell on."""

import math
from collections.abc import Generator
from dataclasses import astuple, replace
from typing import Any

import simpy

from engine.compiled import entry
from engine.coupon_records import CouponKind
from engine.records import DAY_MS, HOUR_MS, MINUTE_MS, NONE, SECOND_MS, EventKind
from sim.adversaries.app import REFUSALS, App, Sight, Word
from sim.adversaries.books import CLAIMS_MOST, VIEWS_MOST, Books, Habits, Memory, Visit
from sim.adversaries.market import Market
from sim.adversaries.means import Guise, Pool, Purse, Thing, ip_numbers, own_guise, thing_numbers
from sim.adversaries.scene import CrewPlan, Scene
from sim.origin_model import Account
from sim.origins import OWN
from sim.streams import Draw, uniforms

draw = entry(uniforms)
CREWS = 1 << 59  # above all customers: the crews' own place among the keys of chance
Steps = Generator[simpy.Event, Any, None]
PATIENCE = 3  # times that an order is put off before it is given up
SOLVED_AFTER_MS = 10 * SECOND_MS
VISITS_KNOWN = 10  # from then on a crew knows what its things bring
RIPENS_MS = 25 * HOUR_MS  # an account is left alone so long where new ones are refused
OLD_MS = 180 * DAY_MS  # persons' own accounts are so old


class Crew:
    """One crew. Accounts first … first + people - 1 are the persons' own, the others are for fraud."""

    def __init__(self, number: int, first: int, plan: CrewPlan, scene: Scene, app: App, market: Market) -> None:
        self.number, self.first, self.plan, self.scene = number, first, plan, scene
        self.app, self.env, self.market = app, app.env, market
        self.purse, self.books, self.habits = Purse(plan.budget), Books(), Habits()
        rented = plan.kind in (Account.IP_ROTATION, Account.BOT)
        self.ip_price = scene.prices.ip if rented else scene.prices.proxy
        self.device_price = scene.prices.emulator if rented else scene.prices.device
        self.pools = {
            Thing.DEVICE: Pool(Thing.DEVICE, thing_numbers(number, Thing.DEVICE), plan.devices),
            Thing.IP: Pool(Thing.IP, ip_numbers(number, rented), plan.ips),
            Thing.CARD: Pool(Thing.CARD, thing_numbers(number, Thing.CARD), plan.cards),
            Thing.ADDRESS: Pool(Thing.ADDRESS, thing_numbers(number, Thing.ADDRESS), plan.addresses),
        }
        self._draws = 0
        self.visits, self.gain = 0, 0  # that asked for something, and what they brought
        self.in_vain = 0  # visits in a row that were refused and brought nothing
        self.memory: dict[int, Memory] = {}
        self.keeps = frozenset(Thing)  # what each account keeps, as long as it is not refused
        self.kept: dict[int, dict[Thing, int]] = {}
        self.useless: set[int] = set()  # coupons that are not for new accounts
        for person in range(plan.people):
            self.memory[first + person] = Memory(scene.begins - OLD_MS)
            app.enrol(first + person, scene.begins - OLD_MS)
        for thing, pool in self.pools.items():
            self.pay(thing.name.lower(), self.price(thing) * len(pool.things))

    # --- chance, money, time ------------------------------------------------------------------------------------------
    def chance(self) -> tuple[float, float, float, float]:
        """Four uniforms of the crew's own; each is drawn once."""
        self._draws += 1
        found: tuple[float, float, float, float] = draw(
            self.app.stream, CREWS + self.number, int(Draw.SCHEME), self._draws
        )
        return found

    def after(self, mean_ms: float) -> simpy.Event:
        """A while: exponential, at least a millisecond."""
        return self.env.timeout(1 + int(-math.log(self.chance()[0]) * mean_ms))

    def price(self, thing: Thing) -> int:
        prices = self.scene.prices
        return (self.device_price, self.ip_price, prices.card, prices.address)[thing]

    def pay(self, what: str, fen: int) -> bool:
        if not self.purse.pay(what, fen):
            return False
        self.books.costs += fen
        return True

    def earn(self, fen: int, by: str, account: int) -> None:
        self.books.brought[account] = self.books.brought.get(account, 0) + fen
        setattr(self.books, by, getattr(self.books, by) + fen)
        self.purse.earned += fen

    # --- means --------------------------------------------------------------------------------------------------------
    def turn(self, thing: Thing, fresh: bool = False) -> bool:
        """Take another thing of a kind, one there is or one that is bought; whether there was one."""
        pool = self.pools[thing]
        if pool.turn(self.env.now, fresh):
            return True
        if not self.dares(self.price(thing), len(pool.things)) or not self.pay(thing.name.lower(), self.price(thing)):
            return False
        pool.add()
        return True

    def dares(self, price: int, things: int) -> bool:
        """Whether one more thing is worth its price: by what those there are have brought so far, on average, or at the
        risk of half the budget."""
        if self.visits >= VISITS_KNOWN and price > self.gain / things:
            return False
        return self.risked <= self.plan.budget // 2 + self.purse.earned

    @property
    def risked(self) -> int:
        """Fen spent on things so far. Without earnings half of the budget is risked, no more."""
        return sum(self.purse.spent.get(thing.name.lower(), 0) for thing in Thing)

    def guise(self, account: int) -> Guise | None:
        """As whom an account comes: with what it has kept, else with what is at hand and not worn; None where money is
        out. What accounts keep is spread evenly over them."""
        now, mine = self.env.now, self.kept.setdefault(account, {})
        for thing, pool in self.pools.items():
            if thing in mine and not pool.is_worn(mine[thing], now):
                continue
            if pool.is_worn(pool.at_hand, now) and not self.turn(thing):
                return None
            mine[thing] = pool.at_hand
            if thing in self.keeps:
                pool.step()
        for thing, number in mine.items():
            self.pools[thing].use(number, now)
        self.kept[account] = {thing: number for thing, number in mine.items() if thing in self.keeps}
        return Guise(mine[Thing.DEVICE], mine[Thing.IP], mine[Thing.CARD], mine[Thing.ADDRESS], self.habits.agent)

    def let_go(self, thing: Thing) -> None:
        """No account keeps what it had of a kind."""
        for things in self.kept.values():
            things.pop(thing, None)

    def learn(self, visit: Visit) -> None:
        """Something was refused: another device from stock, which costs nothing; then habits; then things are bought.
        Denied though nothing it came with had been used today, all of that is known, and not used again."""
        assert visit.guise is not None
        now, came = self.env.now, dict(zip(Thing, astuple(visit.guise), strict=False))
        self.kept.get(visit.account, {}).pop(Thing.DEVICE, None)
        if self.adapt_habits(visit):
            return
        most = max(Thing, key=lambda thing: (self.pools[thing].uses(came[thing], now), -thing))
        if self.pools[most].uses(came[most], now) > 1:
            self.pools[most].blame(came[most], now)
            self.turn(most)
            return
        if all(word is Word.CHALLENGED for word in visit.refusals):
            return  # somebody may solve the next one
        for thing, pool in self.pools.items():
            pool.burn(came[thing])

    def adapt_habits(self, visit: Visit) -> bool:
        """One change: fewer claims at a time, more looking around, older accounts. Whether there was one to make."""
        habits = self.habits
        if 1 < visit.refused_at <= habits.claims:
            habits.claims = visit.refused_at - 1
        elif habits.views < VIEWS_MOST:
            habits.views += 3
        elif habits.ripens_ms == 0:
            habits.ripens_ms = RIPENS_MS
        else:
            return False
        return True

    @property
    def recruits(self) -> range:
        """The accounts for fraud."""
        return range(self.first + self.plan.people, self.first + self.plan.size)

    @property
    def rests_ms(self) -> int:
        """Until an account comes again: soon, where it may not take everything at once."""
        return DAY_MS if self.habits.claims < CLAIMS_MOST else self.plan.rests_ms

    # --- a visit ------------------------------------------------------------------------------------------------------
    def enter(self, account: int, guise: Guise) -> bool:
        """Register, where that is still to be done; whether there was money for it."""
        if account in self.memory:
            return True
        prepared = self.plan.prepared > 0 and self.chance()[0] < self.plan.prepared
        prices = self.scene.prices
        if not self.pay("account", prices.prepared if prepared else prices.account):
            return False
        joined = self.env.now
        if prepared:
            joined = self.scene.begins - 1 - int(self.chance()[0] * self.scene.prepared_within_ms)
        self.books.accounts += 1
        self.memory[account] = Memory(joined)
        self.app.enrol(account, joined)
        if not prepared:
            self.app.tell(account, EventKind.REGISTER, guise)
        return True

    def browse(self, account: int, guise: Guise, habits: Habits) -> Steps:
        self.app.tell(account, EventKind.LOGIN, guise)
        for view in range(habits.views):
            yield self.after(habits.pause_ms)
            self.app.tell(account, EventKind.PAGE_VIEW, guise, self.scene.pages[view % len(self.scene.pages)])

    def wanted(self, account: int) -> list[int]:
        """Coupons worth asking for now, dearest first."""
        memory, now = self.memory[account], self.env.now
        useless = memory.useless | (self.useless if memory.orders == 0 and account in self.recruits else set())
        again = now - self.plan.rests_ms
        found = [slot for slot in self.scene.targets if slot not in useless and self.scene.is_open(slot, now)]
        found = [slot for slot in found if memory.granted_ms.get(slot, again) <= again]
        return sorted(found, key=lambda slot: (-self.scene.face(slot), slot))

    def visit(self, account: int, guise: Guise, habits: Habits, visit: Visit) -> Steps:
        """Come, claim whatever there is, and turn it into money."""
        if not self.enter(account, guise):
            return
        yield from self.browse(account, guise, habits)
        if self.env.now - self.memory[account].registered_ms < habits.ripens_ms:
            return
        for slot in self.wanted(account):
            if visit.claims >= habits.claims:
                break
            yield self.after(habits.pause_ms)
            yield from self.claim(account, slot, guise, visit)
        for sight in visit.granted:
            yield self.after(habits.pause_ms)
            yield from self.turn_into_money(account, sight, guise, habits, visit)

    def claim(self, account: int, slot: int, guise: Guise, visit: Visit) -> Steps:
        """Claim a coupon, and hear what becomes of it; a challenge may be bought off."""
        for attempt in range(2):
            visit.claims += 1
            sight = self.app.ask(account, EventKind.CLAIM, guise, coupon=slot)
            if sight.word is Word.PENDING:
                sight = yield self.app.reply(account, sight.claim)
            self.hear(sight.word, account, visit)
            if sight.word in REFUSALS and not visit.refused_at:
                visit.refused_at = visit.claims
            if sight.word is not Word.CHALLENGED or attempt or not self.solve(account, guise):
                break
            yield self.after(SOLVED_AFTER_MS)
        if sight.word is Word.NOT_FOR_YOU:
            self.note_useless(account, slot)
        elif sight.word in (Word.DONE, Word.WEAKER) and sight.claim != NONE:
            self.memory[account].granted_ms[slot] = self.env.now
            visit.granted.append(sight)
        elif sight.word is Word.IN_REVIEW:
            self.env.process(self.sit_out(account, sight, guise))

    def note_useless(self, account: int, slot: int) -> None:
        """A coupon is not for this account; if it is a new one, not for other new ones either."""
        self.memory[account].useless.add(slot)
        if account in self.recruits and self.memory[account].orders == 0:
            self.useless.add(slot)

    def hear(self, word: Word, account: int, visit: Visit) -> None:
        if word in REFUSALS:
            visit.refusals.append(word)
            if account in self.recruits:
                self.books.hear(word)

    def solve(self, account: int, guise: Guise) -> bool:
        """Have a challenge solved by somebody; whether it worked."""
        if account not in self.recruits:
            self.app.pass_challenge(account, guise)
            return True
        if not self.pay("challenge", self.scene.prices.challenge) or self.chance()[0] >= self.scene.solves:
            return False
        self.app.pass_challenge(account, guise)
        return True

    def sit_out(self, account: int, sight: Sight, guise: Guise) -> Steps:
        """A claim is in review: perhaps it is granted after all."""
        sight = yield self.app.reply(account, sight.claim)
        if sight.word is Word.DONE:
            yield self.after(HOUR_MS)
            yield from self.turn_into_money(account, sight, guise, self.habits, Visit())

    # --- money --------------------------------------------------------------------------------------------------------
    def turn_into_money(self, account: int, sight: Sight, guise: Guise, habits: Habits, visit: Visit) -> Steps:
        if habits.sells and account in self.recruits:
            yield from self.sell(account, sight, guise, visit)
        elif self.scene.terms[sight.terms]["kind"] == CouponKind.RIGHT:
            yield from self.redeem(account, sight, guise, visit)
        else:
            yield from self.use(account, sight, guise, visit)

    def patiently(
        self, account: int, kind: EventKind, guise: Guise, visit: Visit, **ask: Any
    ) -> Generator[Any, Any, Sight]:
        """Ask again after the settlement where the app says so."""
        sight = Sight(Word.WAITS)
        for _ in range(PATIENCE):
            sight = self.app.ask(account, kind, guise, **ask)
            if sight.word is Word.CHALLENGED and self.solve(account, guise):
                sight = self.app.ask(account, kind, guise, **ask)
            if sight.word is not Word.WAITS:
                break
            yield self.app.settled()
            yield self.after(SECOND_MS)
        self.hear(sight.word, account, visit)
        return sight

    def order(self, account: int, sight: Sight, guise: Guise, visit: Visit) -> Generator[Any, Any, int]:
        """Order and pay goods with a coupon; fen that it took off, 0 where it came to nothing."""
        lines, number = self.scene.cart(sight.terms), self.app.next_order(account)
        if not lines:
            return 0
        place, shipping = number % max(self.scene.places, 1), self.scene.shipping
        held = yield from self.patiently(
            account, EventKind.ORDER, guise, visit, lines=lines, order=number, shipping=shipping, place=place
        )
        if held.word is not Word.DONE:
            return 0
        if held.discount <= 0:
            self.app.ask(account, EventKind.CANCEL, guise, order=number)
            return 0
        yield self.after(MINUTE_MS // 4)
        paid = yield from self.patiently(account, EventKind.PAYMENT, guise, visit, order=number, amount=held.paid)
        self.memory[account].orders += paid.word is Word.DONE
        return paid.discount if paid.word is Word.DONE else 0

    def use(self, account: int, sight: Sight, guise: Guise, visit: Visit) -> Steps:
        """Order goods with a coupon, and sell the goods on."""
        off = yield from self.order(account, sight, guise, visit)
        if off > 0:
            goods = sum(line[0] * line[1] for line in self.scene.cart(sight.terms))
            self.take(account, off, int(goods * self.scene.goods_lost) + self.scene.shipping, visit)

    def redeem(self, account: int, sight: Sight, guise: Guise, visit: Visit) -> Steps:
        done = yield from self.patiently(account, EventKind.REDEEM, guise, visit, claim=sight.claim)
        if done.word is Word.DONE:
            self.take(account, int(self.scene.terms[sight.terms]["worth"]), 0, visit)

    def take(self, account: int, face: int, lost: int, visit: Visit) -> None:
        """Book what a redeemed coupon brought, and what was lost on the goods."""
        visit.gain += face - lost
        if account not in self.recruits:
            self.books.honest += face - lost
            return
        self.earn(face, "face", account)
        self.books.costs += lost
        self.purse.earned -= lost

    def sell(self, account: int, sight: Sight, guise: Guise, visit: Visit) -> Steps:
        """Sell a coupon on: pass it to a buyer, or order for one where it cannot be passed on."""
        terms = self.scene.terms[sight.terms]
        face = int(max(terms["cost_most"], terms["off"], terms["worth"]))
        buyer = int(self.chance()[0] * self.scene.customers)
        if terms["transferable"]:
            sight = yield from self.patiently(account, EventKind.TRANSFER, guise, visit, claim=sight.claim, other=buyer)
            if sight.word is Word.PENDING:
                sight = yield self.app.reply(account, sight.claim)
                self.hear(sight.word, account, visit)
            if sight.word is not Word.DONE:
                return
        elif (yield from self.order(account, sight, replace(guise, address=buyer * OWN), visit)) <= 0:
            return
        price = self.market.sell(face, self.env.now)
        visit.gain += price
        self.earn(price, "resale", account)

    # --- honest, for comparison ---------------------------------------------------------------------------------------
    def live_honestly(self, account: int) -> Steps:
        """What the same person would get with one account of their own: measured beside, shared with nothing."""
        guise, honest = own_guise(account), Habits(views=8, pause_ms=8 * SECOND_MS, claims=2)
        while True:
            yield self.after(DAY_MS)
            yield from self.visit(account, guise, honest, Visit())
            yield self.env.timeout(DAY_MS)
