"""The Ledger once more, naively, from the words of DESIGN.md: the oracle of `engine/settle.py`.

Plain dicts and sorted lists, one request at a time. It shares only the records with the fast one; random requests
through both must agree. The policy comes as rows by slot: {"coupons": {slot: {...}}, "terms": …, "budgets": …}.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from engine.coupon_records import NO_BUDGET, UNLIMITED, Answer, RequestKind, Spend
from engine.fraud_records import REVIEW_MS, Verdict
from engine.records import MINUTE_MS, NEVER_MS, NONE, SHARE_ONE
from engine.reference_breaker import ReferenceBreakers
from engine.reference_counters import COLUMNS, Counters
from engine.reference_rules import Fraud

Row = dict[str, Any]  # the fields of a REQUEST, REPLY, COUPON, TERMS or BUDGET
Id = tuple[int, int]  # (customer, number of a request or claim)

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15
UNANSWERED = (RequestKind.ARRIVED, RequestKind.RETURNED)
MINUTE = 2  # after 0, what runs out, and 1, the tick
JUDGED = (RequestKind.CLAIM, RequestKind.RESERVE, RequestKind.TRANSFER)
REFUSALS = {Verdict.DENY: Answer.DENIED, Verdict.CHALLENGE: Answer.CHALLENGED}
UNTRACED = dict.fromkeys((*COLUMNS.values(), "campaign", "inviter", "rule"), NONE)
UNSEEN = UNTRACED | dict.fromkeys(("counted", "judging", "exempt", "fired", "event_kind"), 0)


def mix64(value: int) -> int:
    """Finaliser of SplitMix64 (Steele, Lea, Flood 2014)."""
    value &= MASK
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & MASK
    return value ^ (value >> 31)


class Coupon:
    """Where the pieces of a coupon are."""

    def __init__(self, pieces: int) -> None:
        self.declared = self.delivered = pieces
        self.granted = self.reserved = self.confirmed = self.promised = self.moving = self.arrived = 0
        self.released: int | None = None
        self.out_ms = NEVER_MS
        self.refused: Counter[int] = Counter()

    @property
    def handed_out(self) -> int:
        return self.granted + self.reserved + self.confirmed

    @property
    def left(self) -> int:
        return UNLIMITED if self.delivered == UNLIMITED else self.delivered - self.handed_out

    def has_piece(self) -> bool:
        return self.left != 0 and (self.released is None or self.released > self.handed_out)


class Budget:
    """What of a budget is reserved and spent; fen."""

    def __init__(self, amount: int) -> None:
        self.in_force = amount
        self.reserved = self.spent = self.overshoot = 0
        self.released = False
        self.out_ms = NEVER_MS

    @property
    def committed(self) -> int:
        return self.reserved + self.spent


class ReferenceLedger:
    """Stock and budgets for the customers in [first, end)."""

    def __init__(
        self, policy: Mapping[str, Any], customers: tuple[int, int], now: int, tick_ms: int, fraud: Fraud | None = None
    ) -> None:
        self.customers, self.now, self.tick_ms = customers, now, tick_ms
        self.ticked = now // tick_ms * tick_ms
        self.stock: dict[int, Coupon] = {}
        self.funds: dict[int, Budget] = {}
        self.reservations: dict[Id, Row] = {}  # of pieces without a coupon
        self.transfers: dict[Id, Row] = {}  # (giver, claim) → the request
        self.remembered: dict[Id, Row | None] = {}  # None: no reply to the asker, or not yet
        self.said: dict[Id, int] = {}
        self.number = 0
        self.counters = Counters()
        self.reviews: dict[Id, Row] = {}  # requests, with what was found, what is reserved and when it ends
        self.ended: list[Row] = []  # replies to reviews that are over
        self.breakers = ReferenceBreakers({}, now)
        self.adopt(policy)
        if fraud is not None:
            self.counters.adopt(fraud, None)

    def adopt(self, policy: Mapping[str, Any], fraud: Fraud | None = None) -> None:
        """Take up a policy: pieces and amounts change by the difference, what is handed out or committed stays."""
        self.policy = policy
        if fraud is not None:
            self.counters.adopt(fraud, self.now)
        for slot, rule in policy["coupons"].items():
            pieces, coupon = rule["pieces"], self.stock.setdefault(slot, Coupon(rule["pieces"]))
            if pieces == UNLIMITED or coupon.declared == UNLIMITED:
                coupon.delivered = pieces
            else:
                coupon.delivered += pieces - coupon.declared
            if pieces != UNLIMITED:
                coupon.delivered = max(coupon.delivered, coupon.handed_out)
            coupon.declared = pieces
        for slot, rule in policy["budgets"].items():
            budget = self.funds.setdefault(slot, Budget(rule["amount"]))
            budget.in_force = rule["amount"] + (rule["reserve"] if budget.released else 0)
            budget.overshoot = max(budget.overshoot, budget.committed - budget.in_force)
        self.release_rations(self.ticked)

    # --- time ---------------------------------------------------------------------------------------------------------
    def release_rations(self, t: int) -> None:
        for slot, rule in self.policy["coupons"].items():
            self.stock[slot].released = None
            if rule["ration_every_ms"]:
                times = 1 + max(0, t - rule["from_ms"]) // rule["ration_every_ms"]
                self.stock[slot].released = times * rule["ration_pieces"]

    def tick(self, t: int) -> None:
        """Rations and, once, each budget's reserve."""
        self.ticked = t
        self.release_rations(t)
        for slot, rule in self.policy["budgets"].items():
            budget = self.funds[slot]
            enough = budget.committed * SHARE_ONE >= rule["amount"] * rule["release_at"]
            if not budget.released and rule["reserve"] and t >= rule["release_from_ms"] and enough:
                budget.released = True
                budget.in_force += rule["reserve"]

    def advance(self, t: int) -> None:
        """Everything that is due by t, in order of time; at one instant prizes and reviews end first, breakers come
        last."""
        while (due := min(self.due(), default=(NEVER_MS, 0, (0, 0))))[0] <= t:
            time_ms, tick, id = due
            if tick == MINUTE:
                self.breakers.judge(time_ms)
            elif tick:
                self.tick(time_ms)
            elif id in self.reviews:
                self.end_review(id, True, time_ms)
            else:
                self.end_reservation(id, confirmed=False)
        self.now = max(self.now, t)

    def due(self) -> list[tuple[int, int, Id]]:
        due = [(row["expires_ms"], 0, id) for id, row in self.reservations.items()]
        due += [(row["due_ms"], 0, id) for id, row in self.reviews.items()]
        due += [(self.breakers.judged + MINUTE_MS, MINUTE, (0, 0))]
        return [*due, (self.ticked + self.tick_ms, 1, (0, 0))]

    def end_reservation(self, id: Id, confirmed: bool) -> None:
        row = self.reservations.pop(id)
        coupon = self.stock[row["coupon"]]
        coupon.reserved -= 1
        coupon.confirmed += confirmed
        if row["budget"] != NO_BUDGET:
            self.funds[row["budget"]].reserved -= row["cost"]
            self.funds[row["budget"]].spent += row["cost"] if confirmed else 0

    # --- pieces and money ---------------------------------------------------------------------------------------------
    def take(self, slot: int, terms_row: int, t: int) -> Answer:
        """One piece, and of its budget the most it can cost."""
        if slot not in self.policy["coupons"]:
            return Answer.NOT_OPEN
        coupon, terms = self.stock[slot], self.policy["terms"][terms_row]
        if not coupon.has_piece():
            return Answer.OUT_OF_STOCK
        budget = self.funds.get(terms["budget"])
        if budget is not None:
            fits = budget.committed + terms["cost_most"] <= budget.in_force
            budget.reserved += terms["cost_most"] if fits else 0
            if not fits or budget.committed >= budget.in_force:
                budget.out_ms = min(budget.out_ms, t)
            if not fits:
                return Answer.BUDGET
        if coupon.left == 1:
            coupon.out_ms = min(coupon.out_ms, t)
        return Answer.DONE

    def claim(self, request: Row, verdict: int, t: int) -> Row:
        slot, terms, granted = request["coupon"], request["terms"], Answer.DONE
        if verdict == Verdict.WEAKER:
            slot, granted = self.policy["coupons"].get(slot, {}).get("fallback", NONE), Answer.FALLBACK
            if slot == NONE:
                return {"answer": Answer.DENIED}
            terms = self.policy["coupons"][slot]["terms"]
        answer = self.take(slot, terms, t)
        if answer != Answer.DONE:
            return {"answer": answer}
        self.stock[slot].granted += 1
        self.counters.granted(request, t)
        return {"answer": granted, "coupon": slot, "terms": terms}

    def reserve(self, request: Row, verdict: int, t: int) -> Row:
        id = request["customer"], request["claim"]
        if verdict == Verdict.WEAKER:
            return {"answer": Answer.DENIED}
        if id in self.reservations or id in self.transfers or id in self.reviews:
            return {"answer": Answer.NO_COUPON}
        answer = self.take(request["coupon"], request["terms"], t)
        if answer != Answer.DONE:
            return {"answer": answer}
        self.stock[request["coupon"]].reserved += 1
        return {"answer": answer, "expires_ms": self.open_reservation(request, t, self.waits_for(request))}

    def waits_for(self, request: Row) -> int:
        """How long a prize waits for its customer."""
        return int(self.policy["coupons"][request["coupon"]]["confirm_within_ms"])

    def open_reservation(self, request: Row, t: int, waits_for: int) -> int:
        """A piece that is reserved is a prize's from now on; when it lapses."""
        terms, until = self.policy["terms"][request["terms"]], t + waits_for
        self.stock[request["coupon"]].promised += 1
        self.counters.granted(request, t)
        self.reservations[request["customer"], request["claim"]] = {
            "coupon": request["coupon"], "budget": terms["budget"], "cost": terms["cost_most"], "expires_ms": until,
        }  # fmt: skip
        return until

    def end(self, request: Row) -> Row:
        id = request["customer"], request["claim"]
        if id not in self.reservations:
            return {"answer": Answer.LAPSED}
        self.end_reservation(id, confirmed=request["kind"] == RequestKind.CONFIRM)
        return {"answer": Answer.DONE}

    # --- reviews ------------------------------------------------------------------------------------------------------
    def review(self, request: Row, found: Row, t: int) -> Row:
        """One piece and its cost are reserved, or a transfer is under way, until somebody has decided."""
        id = request["customer"], request["claim"]
        if request["kind"] == RequestKind.TRANSFER:
            answer = self.set_out(request | {"found": found})
        elif id in self.reservations or id in self.transfers or id in self.reviews:
            answer = Answer.NO_COUPON
        else:
            answer = self.take(request["coupon"], request["terms"], t)
            self.stock[request["coupon"]].reserved += answer == Answer.DONE
        if answer not in (Answer.DONE, Answer.PENDING):
            return {"answer": answer}
        waits_for = self.waits_for(request) if request["kind"] == RequestKind.RESERVE else 0
        self.reviews[id] = request | {"due_ms": t + REVIEW_MS, "found": found, "waits_for": waits_for}
        return {"answer": Answer.IN_REVIEW}

    def end_review(self, id: Id, granted: bool, t: int) -> None:
        request = self.reviews.pop(id)
        if request["kind"] == RequestKind.TRANSFER:
            replies = [self.depart(request)] if granted else [self.called_back(request)]
        else:
            self.stock[request["coupon"]].reserved -= 1 if request["kind"] == RequestKind.CLAIM or not granted else 0
            parts = self.granted_late(request, t) if granted else self.given_up(request)
            replies = [self.answered(request, parts | request["found"])]
        self.ended += replies

    def granted_late(self, request: Row, t: int) -> Row:
        if request["kind"] == RequestKind.RESERVE:
            return {"answer": Answer.DONE, "expires_ms": self.open_reservation(request, t, request["waits_for"])}
        self.stock[request["coupon"]].granted += 1
        self.counters.granted(request, t)
        return {"answer": Answer.DONE}

    def given_up(self, request: Row) -> Row:
        terms = self.policy["terms"][request["terms"]]
        if terms["budget"] != NO_BUDGET:
            self.funds[terms["budget"]].reserved -= terms["cost_most"]
        self.stock[request["coupon"]].refused[Answer.DENIED] += 1
        return {"answer": Answer.DENIED}

    def called_back(self, request: Row) -> Row:
        """A transfer that is denied."""
        del self.transfers[request["customer"], request["claim"]]
        self.stock[request["coupon"]].moving -= 1
        self.stock[request["coupon"]].refused[Answer.DENIED] += 1
        return self.answered(request, {"answer": Answer.DENIED} | request["found"])

    def decided(self, request: Row, t: int) -> list[Row]:
        """A person's decision: the outcome is said before the reply to it."""
        id = request["customer"], request["claim"]
        known = id in self.reviews
        if known:
            self.end_review(id, request["verdict"] == Verdict.ALLOW, t)
        return [*self.take_ended(), self.answered(request, {"answer": Answer.DONE if known else Answer.LAPSED})]

    def listed(self, request: Row) -> list[Row]:
        self.counters.list(request)
        answer = Answer.DONE if request["verdict"] == Verdict.ALLOW else Answer.DENIED
        return [self.answered(request, {"answer": answer, "expires_ms": request["expires_ms"]})]

    def marks(self, request: Row, t: int) -> list[Row]:
        """What the customer is told of rules that fire."""
        blank = dict.fromkeys(("other", "number", "claim", "terms", "coupon"), NONE)
        told = {"customer": request["customer"], "kind": RequestKind.OBSERVED, "time_ms": self.closes}
        return [
            blank | told | {"answer": Answer.DONE, "fired": 0, "rule": rule, "expires_ms": end}
            for rule, end in self.counters.marks(request, t)
        ]

    # --- transfers ----------------------------------------------------------------------------------------------------
    def set_out(self, request: Row) -> Answer:
        """Why a coupon cannot set out; PENDING if it does."""
        id = request["customer"], request["claim"]
        if not self.customers[0] <= request["other"] < self.customers[1]:
            return Answer.WALLET_FULL
        if id in self.reservations or id in self.transfers:
            return Answer.NO_COUPON
        self.transfers[id] = request
        self.stock[request["coupon"]].moving += 1
        return Answer.PENDING

    def depart(self, request: Row) -> Row:
        """What the receiver is told; for the giver there is nothing yet."""
        told = {"customer": request["other"], "other": request["customer"], "number": NONE}
        reply = self.answered(request, {"answer": Answer.DONE, "expires_ms": request["expires_ms"]} | told)
        self.remembered[request["customer"], request["number"]] = None
        return reply

    def came_in(self, request: Row) -> list[Row]:
        """ARRIVED or RETURNED: the giver's reply, if there is such a transfer."""
        given = self.transfers.pop((request["other"], request["claim"]), None)
        if given is None:
            return []
        arrived = request["kind"] == RequestKind.ARRIVED
        self.stock[given["coupon"]].moving -= 1
        self.stock[given["coupon"]].arrived += arrived
        parts = {"answer": Answer.DONE if arrived else Answer.WALLET_FULL}
        return [self.answered(given, parts | given.get("found", {}))]

    # --- a settlement -------------------------------------------------------------------------------------------------
    def answered(self, request: Row, parts: Row) -> Row:
        """The reply to a request; from now on whoever asks again gets it."""
        names = ("customer", "other", "number", "claim", "terms", "coupon", "kind")
        reply = {name: request[name] for name in names} | {"time_ms": self.closes, "expires_ms": 0}
        reply |= {"fired": 0, "rule": NONE} | parts
        id = request["customer"], request["number"]
        self.remembered[id], self.said[id] = reply, self.number
        return reply

    def settle_one(self, request: Row, t: int) -> list[Row]:
        """Replies to one request, not asked before."""
        kind, id = request["kind"], (request["customer"], request["number"])
        if kind in (RequestKind.OBSERVED, *UNANSWERED):
            self.remembered[id], self.said[id] = None, self.number
        if kind in UNANSWERED:
            return self.came_in(request)
        if kind == RequestKind.REVIEWED:
            return self.decided(request, t)
        if kind == RequestKind.LISTED:
            return self.listed(request)
        if kind in (RequestKind.CONFIRM, RequestKind.RELEASE):
            return [self.said_of(request, self.end(request))]
        new = self.counters.count(request, t)
        replies = [] if kind == RequestKind.OBSERVED else [self.judge(request, new, t)]
        return replies + self.marks(request, t)

    def judge(self, request: Row, new: set[int], t: int) -> Row:
        """The reply to a claim, reservation or transfer."""
        kind, found = request["kind"], self.counters.judge(request, new, t)
        verdict = found.pop("verdict")
        if verdict in REFUSALS:
            parts: Row = {"answer": REFUSALS[verdict]}
        elif verdict == Verdict.REVIEW:
            parts = self.review(request, found, t)
        elif kind == RequestKind.TRANSFER:
            parts = {"answer": self.set_out(request | {"found": found})}
            if parts["answer"] == Answer.PENDING:
                return self.depart(request)
        else:
            parts = (self.claim if kind == RequestKind.CLAIM else self.reserve)(request, verdict, t)
        reply = self.said_of(request, parts | found)
        self.breakers.count_claim(request, reply, self.policy["terms"], t)
        return reply

    def said_of(self, request: Row, parts: Row) -> Row:
        granted = (Answer.DONE, Answer.FALLBACK, Answer.IN_REVIEW)
        if parts["answer"] not in granted and request["coupon"] in self.stock:
            self.stock[request["coupon"]].refused[parts["answer"]] += 1
        return self.answered(request, parts)

    def order(self, request: Row) -> tuple[int, ...]:
        salt = self.policy["coupons"].get(request["coupon"], {}).get("drop_salt", 0)
        tie = mix64(mix64(salt + GOLDEN) ^ mix64(request["customer"] + GOLDEN))
        return request["time_ms"], tie, request["customer"], request["sequence"], request["number"]

    def settle(self, requests: list[Row], spend: Mapping[int, Mapping[Spend, int]], now: int) -> list[Row]:
        """Settle requests in any order at `now`; replies in the order they were settled."""
        self.closes, self.number = now, self.number + 1
        for coupon in self.stock.values():
            coupon.arrived = 0
        for slot, budget in self.funds.items():
            self.add_spend(budget, spend.get(slot, {}), now)
        replies: list[Row] = []
        for request in sorted((UNSEEN | request for request in requests), key=self.order):
            id = request["customer"], request["number"]
            t = min(max(request["time_ms"], self.now), now)
            self.advance(t)
            replies += self.take_ended()
            if id not in self.remembered:
                replies += self.settle_one(request, t)
                continue
            reply = self.remembered[id]
            if reply is not None and self.said[id] != self.number:
                self.said[id] = self.number
                replies.append(reply)
        self.advance(now)
        return replies + self.take_ended()

    def take_ended(self) -> list[Row]:
        """Replies to the reviews that have ended since the last time."""
        ended, self.ended = self.ended, []
        return ended

    def add_spend(self, budget: Budget, amounts: Mapping[Spend, int], now: int) -> None:
        """Exposures may overshoot by the spend of the settlement that finds the budget used up."""
        exposures = amounts.get(Spend.EXPOSURES, 0)
        if budget.committed < budget.in_force:
            budget.overshoot = max(0, exposures)
        redeemed, freed = amounts.get(Spend.REDEEMED, 0), amounts.get(Spend.FREED, 0)
        budget.spent += exposures + redeemed
        budget.reserved -= redeemed + freed
        if exposures > 0 and budget.committed >= budget.in_force:
            budget.out_ms = min(budget.out_ms, now)

    # --- what is asked of it ------------------------------------------------------------------------------------------
    def forget(self, first: int, end: int, number: int) -> None:
        """Replies of settlements up to `number` to the customers in [first, end) are in a snapshot."""
        for customer, request in list(self.remembered):
            id = customer, request
            waiting = [*self.transfers.values(), *self.reviews.values()]
            is_open = any((row["customer"], row["number"]) == id for row in waiting)
            if first <= customer < end and self.said[id] <= number and not is_open:
                del self.remembered[id], self.said[id]

    def restock(self, slot: int, pieces: int) -> None:
        self.stock[slot].delivered += pieces

    def in_stock(self, campaign: Row) -> bool:
        return campaign["coupon"] == NONE or self.stock[campaign["coupon"]].has_piece()

    def in_budget(self, campaign: Row, channel_budget: int) -> bool:
        """Exposures can be paid, and one more piece of the coupon."""
        for slot in (campaign["budget"], channel_budget):
            if slot != NO_BUDGET and self.funds[slot].committed >= self.funds[slot].in_force:
                return False
        if campaign["coupon"] == NONE:
            return True
        terms = self.policy["terms"][self.policy["coupons"][campaign["coupon"]]["terms"]]
        budget = self.funds.get(terms["budget"])
        return budget is None or budget.committed + terms["cost_most"] <= budget.in_force
