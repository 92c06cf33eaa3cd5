"""Names in rows to the engine's numbers, and what is known of a customer to the engine's record."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.host.profiles import newcomer
from engine.policy.conditions import GENDERS
from engine.policy.tables import CompiledPolicy
from engine.records import NONE, Channel, Flag
from scenarios.rows_document import Facts

FLAGS = {"card_active": Flag.CARD_ACTIVE, "card_used": Flag.CARD_USED, "likely_minor": Flag.LIKELY_MINOR,
         "high_risk": Flag.HIGH_RISK, "blocked": Flag.BLOCKED}  # fmt: skip


class Unplayable(Exception):
    """Nobody is as the row says, or it names what is not there."""


class Numbers:
    """Names of a policy to numbers; things that are only compared get theirs as they come."""

    def __init__(self, compiled: CompiledPolicy) -> None:
        self.compiled, self.policy = compiled, compiled.policy
        names = self.policy.names
        self.campaigns = {name: compiled.registry.slots[name] for name in self.policy.campaigns}
        self.rules = {slot: name for name, slot in compiled.rules.items()}
        lists: dict[str, Any] = {
            "page": names.pages, "city": names.cities, "tier": names.tiers, "tag": names.tags, "brand": names.brands,
            "category": names.categories, "product": names.products, "place": names.places,
            "moment": self.policy.moments,
        }  # fmt: skip
        self.numbers: dict[str, Mapping[str, int]] = {
            kind: {name: number for number, name in enumerate(known)} for kind, known in lists.items()
        }
        self.numbers |= {"campaign": self.campaigns, "coupon": compiled.coupons}
        self.things: dict[tuple[str, str], int] = {}

    def number(self, kind: str, name: str | None) -> int:
        """NONE without a name. Raises Unplayable where the policy does not have it."""
        if name is None:
            return NONE
        if name not in self.numbers[kind]:
            raise Unplayable(f"the policy has no {kind} {name}")
        return self.numbers[kind][name]

    def thing(self, kind: str, name: str | None) -> int:
        return NONE if name is None else self.things.setdefault((kind, name), len(self.things) + 1)

    def campaign(self, slot: int) -> str:
        return next(name for name, own in self.campaigns.items() if own == slot)

    def arm(self, campaign: str, number: int) -> str:
        arms = self.policy.campaigns[campaign].arms
        return arms[number].name if arms else ""


def customer_row(facts: Facts, now: int, names: Numbers) -> np.ndarray:
    """CUSTOMER[1]"""
    row = newcomer()
    row["joined_ms"] = now - (facts.joined or 0)
    if facts.bought is not None:
        row["purchase_ms"] = now - facts.bought
    if facts.born is not None:
        row["birth_date"] = facts.born.year * 10_000 + facts.born.month * 100 + facts.born.day
    if facts.gender is not None:
        row["gender"] = GENDERS.index(facts.gender)
    row["home_city"], row["tier"] = names.number("city", facts.home_city), names.number("tier", facts.tier)
    row["tags"] = sum(1 << names.number("tag", tag) for tag in facts.tags or [])
    row["consent"] = sum(1 << Channel[channel.upper()] for channel in facts.consent or [])
    row["balance"], row["points"] = facts.balance or 0, facts.points or 0
    row["points_expire_ms"] = now + facts.points_expire if facts.points_expire is not None else 0
    row["marks"] = sum(flag for name, flag in FLAGS.items() if getattr(facts, name))
    row["marks"] |= Flag.PERSONALISATION_OFF if facts.personalisation is False else 0
    return row
