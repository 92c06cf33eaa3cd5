"""The circuit breakers once more, naively: every count ever is kept with its time, and summed anew at every minute.

Rules are rows by number: {"part", "whole", "limit", "least", "window_ms", "rest_ms", "by_campaign", "by_trial",
"watched": slots}; `whole` NONE is an amount.
"""

from collections.abc import Mapping
from typing import Any

from engine.breaker_records import BreakerState, Pulse
from engine.coupon_records import Answer, RequestKind
from engine.records import MINUTE_MS, NEVER_MS, NONE, SHARE_ONE

Row = dict[str, Any]
GRANTING = (Answer.DONE, Answer.FALLBACK, Answer.IN_REVIEW)


class ReferenceBreakers:
    """What was counted, and which breakers are tripped since when."""

    def __init__(self, rules: Mapping[int, Row], now: int) -> None:
        self.rules = rules
        self.judged = now // MINUTE_MS * MINUTE_MS if rules else NEVER_MS
        self.facts: list[tuple[int, int, Pulse, int]] = []  # (time, campaign, what, how much)
        self.fuses: dict[tuple[int, int], tuple[BreakerState, int]] = {}
        self.calls: list[Row] = []

    def count(self, t: int, campaign: int, what: Pulse, amount: int = 1) -> None:
        self.facts.append((t, campaign, what, amount))

    def count_claim(self, request: Row, reply: Row, terms: Mapping[int, Row], t: int) -> None:
        if request["kind"] not in (RequestKind.CLAIM, RequestKind.RESERVE):
            return
        self.count(t, request["campaign"], Pulse.CLAIMS)
        if reply["answer"] not in GRANTING:
            self.count(t, request["campaign"], Pulse.REFUSED)
        elif terms[reply["terms"]]["cost_most"] < NEVER_MS:
            self.count(t, request["campaign"], Pulse.SPENT, terms[reply["terms"]]["cost_most"])

    def total(self, campaign: int, what: int, since: int, until: int) -> int:
        return sum(
            amount
            for t, of, kind, amount in self.facts
            if since <= t < until and kind == what and campaign in (NONE, of)
        )

    def judge(self, t: int) -> None:
        """The tick of minute t."""
        self.judged = t
        for number, rule in self.rules.items():
            for campaign in sorted(rule["watched"]) if rule["by_campaign"] else [NONE]:
                self.judge_one(number, rule, campaign, t)

    def judge_one(self, number: int, rule: Row, campaign: int, t: int) -> None:
        state, since = self.fuses.get((number, campaign), (BreakerState.OPEN, 0))
        if state is BreakerState.TRIPPED:
            if rule["by_trial"] and t - since >= rule["rest_ms"]:
                self.turn(number, campaign, BreakerState.TRIAL, t, t, (0, 0))
            return
        begin = max(t - rule["window_ms"], since)
        part, whole = self.total(campaign, rule["part"], begin, t), 0
        measured, above = part, part > rule["limit"]
        if rule["whole"] != NONE:
            whole = self.total(campaign, rule["whole"], begin, t)
            measured = part * SHARE_ONE // whole if whole else 0
            above = whole >= rule["least"] and whole > 0 and part * SHARE_ONE > rule["limit"] * whole
        if above:
            self.turn(number, campaign, BreakerState.TRIPPED, t, t, (measured, whole))
        elif state is BreakerState.TRIAL and t - since >= rule["window_ms"]:
            self.turn(number, campaign, BreakerState.OPEN, since, t, (measured, whole))

    def turn(self, number: int, campaign: int, state: BreakerState, since: int, t: int, found: tuple[int, int]) -> None:
        self.fuses[number, campaign] = state, since
        call = {"time_ms": t, "measured": found[0], "count": found[1]}
        self.calls.append(call | {"breaker": number, "campaign": campaign, "state": state})

    def close(self, number: int, campaign: int, t: int) -> bool:
        """Somebody decides that campaigns run again: what was counted before the next whole minute counts no more."""
        if self.fuses.get((number, campaign), (BreakerState.OPEN, 0))[0] is not BreakerState.TRIPPED:
            return False
        self.turn(number, campaign, BreakerState.OPEN, (t + MINUTE_MS - 1) // MINUTE_MS * MINUTE_MS, t, (0, 0))
        return True

    def is_paused(self, slot: int) -> bool:
        return any(
            state is BreakerState.TRIPPED and slot in self.rules[number]["watched"] and campaign in (NONE, slot)
            for (number, campaign), (state, _) in self.fuses.items()
        )
