"""Findings on fraud rules: denies without an appeal, answers that come to nothing, lists that are over, false harm."""

from collections.abc import Iterator
from datetime import date

from engine.policy.contradictions import facts_read
from engine.policy.findings import Finding
from engine.policy.fraud_rules import RuleRow
from engine.policy.look import Look
from engine.records import FIRST_PERSONAL_FACT, Fact

PROTECTED = {Fact.AGE, Fact.GENDER, Fact.HOME_CITY, Fact.TAG}  # who somebody is, not what they did
NAMES_SHOWN_MAX = 5


def active(look: Look, *answers: str) -> dict[str, RuleRow]:
    """Rules that answer so; all active ones where nothing is said."""
    rows = look.policy.fraud.rows().items()
    on = {name: row for name, row in rows if row.mode in (None, "active")}
    return {name: row for name, row in on.items() if not answers or row.answer in answers}


def named(names: list[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN_MAX} more" if len(names) > NAMES_SHOWN_MAX else ""
    return ", ".join(names[:NAMES_SHOWN_MAX]) + more


def deny_without_appeal(look: Look) -> Iterator[Finding]:
    names = list(active(look, "deny"))
    if names and look.policy.fraud.appeal is None:
        yield Finding(
            "W27", "error", "fraud.appeal",
            f"{named(names)} deny, and customers are not told how to appeal",
            "set fraud.appeal: where to turn to, and until when they get an answer",
        )  # fmt: skip


def weaker_than_nothing(look: Look) -> Iterator[Finding]:
    names = [name for name, row in active(look, "weaker").items() if "claim" in row.judged_names]
    coupons = look.policy.coupons
    if names and coupons and all(coupon.fallback is None for coupon in coupons.values()):
        yield Finding(
            "W28", "warning", f"fraud.rules.{names[0]}.answer",
            f"{named(names)} give the weaker coupon, and no coupon has a fallback: they deny",
            "name a fallback for coupons that are worth cheating for, or answer challenge or review",
        )  # fmt: skip


def expired_entries(look: Look) -> Iterator[Finding]:
    today = date_of(int(look.compiled.tables.days["date"][0]))
    for name in ("block", "allow"):
        for number, listing in enumerate(getattr(look.policy.fraud.lists, name)):
            ends = [entry.until or listing.until for entry in listing.entries()]
            over = sum(end is not None and end <= today for end in ends)
            if over:
                whose = "all its values are" if over == len(ends) else f"{over} of its {len(ends)} values are"
                yield Finding(
                    "W29", "warning", f"fraud.lists.{name}[{number}]",
                    f"{whose} listed until a day that is past: they are not on the {name} list any more",
                    "take them out, or set a later day",
                )  # fmt: skip


def date_of(yyyymmdd: int) -> date:
    return date(yyyymmdd // 10_000, yyyymmdd // 100 % 100, yyyymmdd % 100)


def personal_facts(look: Look) -> Iterator[Finding]:
    tables = look.compiled.tables
    for name, row in look.policy.fraud.rows().items():
        if row.where is None or not row.is_on:
            continue
        where = int(tables.rules[look.compiled.rules[name]].where)
        facts = [fact for fact in sorted(facts_read(tables.steps, where)) if fact >= FIRST_PERSONAL_FACT]
        protected = [fact for fact in facts if fact in PROTECTED]
        path = f"fraud.rules.{name}.where"
        if protected:
            yield Finding(
                "W30", "ask", path,
                f"{name} treats customers differently by {fact_names(protected)}",
                "ask counsel; a rule that goes by what customers do harms fewer good ones",
            )  # fmt: skip
        if len(facts) > len(protected):
            others = [fact for fact in facts if fact not in PROTECTED]
            yield Finding(
                "W31", "warning", path,
                f"{name} looks at {fact_names(others)}, of customers too who switched personalisation off",
                "go by events and keys where that does; else let the privacy notice name it",
            )  # fmt: skip


def fact_names(facts: list[int]) -> str:
    return ", ".join(Fact(fact).name.lower() for fact in facts)


def undercut_limits(look: Look) -> Iterator[Finding]:
    """A rule over the claims a campaign grants to a customer, below what its coupon allows them."""
    rules = {name: row for name, row in active(look).items() if row.granted and row.per == "campaign"}
    for name, row in rules.items():
        for path, campaign in look.campaigns():
            coupon = look.offered(campaign)
            allowed = min(limit.most for limit in coupon.claims) if coupon is not None else 0
            if allowed > (row.more_than or 0):
                yield Finding(
                    "W32", "warning", f"{path}.coupon",
                    f"{campaign.coupon} may be claimed {allowed} times, and {name} fires above {row.more_than} claims"
                    " of one campaign",
                    f"raise fraud.rules.{name}.more_than, or give the coupon lower limits",
                )  # fmt: skip


def nothing_to_go_by(look: Look) -> Iterator[Finding]:
    fraud, coupons = look.policy.fraud, look.policy.coupons.values()
    missing = {
        "travel": ("fraud.places", "fewer than two cities have a place") if len(fraud.places) < 2 else None,
        "ip_range": ("fraud.proxies", "no range is listed") if fraud.proxies is None else None,
        "region": ("coupons", "no coupon has regions") if not any(coupon.regions for coupon in coupons) else None,
    }
    for name, row in active(look).items():
        lack = missing.get(row.check)
        if lack is not None:
            path, why = lack
            yield Finding(
                "W33", "warning", path,
                f"{name} is active and cannot fire: {why}",
                f"say it, or set mode: off under fraud.rules.{name}",
            )  # fmt: skip


FRAUD_CHECKS = (
    deny_without_appeal, weaker_than_nothing, expired_entries, personal_facts, undercut_limits, nothing_to_go_by,
)  # fmt: skip
