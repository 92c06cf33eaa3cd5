"""Findings on coupons: what they can cost, carts that pay too little, prizes, personal prices."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from engine.policy.campaign import Campaign
from engine.policy.contradictions import facts_read
from engine.policy.coupon import CHECKOUT_KINDS, Coupon
from engine.policy.exploits import Bargain, search
from engine.policy.findings import Finding
from engine.policy.liability import worst_case
from engine.policy.lint_scarcity import countdown_restarts, texts, untrue_numbers
from engine.policy.lint_wallet import wallet_too_small
from engine.policy.look import Look, name_of
from engine.policy.quantities import share_text, yuan_text
from engine.records import FIRST_PERSONAL_FACT, Fact
from engine.reference_checkout import Line

PRIZE_MOST = 5_000_000  # fen
ODDS = re.compile(r"(?i)\b1 in [0-9]|[0-9] ?%|\bodds\b|\bchances?\b|中奖率|概率|几率")
PUBLIC_FACTS = {Fact.TIER, Fact.DAYS_SINCE_JOINED, Fact.CARD_USED}  # members, tiers, new customers


# --- Money ------------------------------------------------------------------------------------------------------------
UNBOUNDED = {  # field that is missing or to blame → why, what to do
    "pieces": ("nothing limits how many there are", "set pieces, or a budget"),
    "reorder": ("stock is ordered again and again", "give a budget"),
    "up_to": ("nothing limits what one takes off", "set up_to"),
}


def unbounded(look: Look) -> Iterator[Finding]:
    blamed: dict[str, list[str]] = {field: [] for field in UNBOUNDED}
    for owed in worst_case(look.policy).coupons:
        if owed.most == inf:
            reordered = look.policy.coupons[owed.name].reorder is not None
            field = "reorder" if reordered else "pieces" if owed.pieces == inf else "up_to"
            blamed[field].append(owed.name)
    for field, names in blamed.items():
        if names:
            why, advice = UNBOUNDED[field]
            yield Finding(
                "W19", "warning", f"coupons.{names[0]}.{field}",
                f"nothing bounds what {', '.join(names)} can cost: {why}", advice,
            )  # fmt: skip


def too_cheap(look: Look) -> Iterator[Finding]:
    bounds, found = look.policy.lint, search(look.compiled)
    if found.lowest is not None and (lowest := found.lowest.as_answered()).paid < bounds.paid_least:
        yield Finding(
            "W21", "error", f"coupons.{lowest.names[0]}",
            f"{bargain_text(look, lowest)}: less than {yuan_text(bounds.paid_least)}",
            "give it a threshold (over); where no goods are so cheap, say under lint.cheapest what the cheapest costs"
            if len(lowest.names) == 1
            else "let them share a group, name one under not_with of another, or raise a threshold",
        )  # fmt: skip
    if found.dearest is not None and (dearest := found.dearest.as_answered()).share > bounds.discount_most:
        yield Finding(
            "W20", "warning", f"coupons.{dearest.names[0]}",
            f"{bargain_text(look, dearest)}: {share_text(-(-dearest.share // 1000) * 1000)} off, more than"
            f" {share_text(bounds.discount_most)}",
            "raise its threshold; where it is meant so, say it under lint.discount_most"
            if len(dearest.names) == 1
            else "let them share a group, name one under not_with of another, or raise a threshold",
        )  # fmt: skip
    if not found.complete:
        yield Finding(
            "W20", "warning", "coupons",
            "the coupons can be combined in more ways than lint tries: carts that cost less may exist",
            "let more coupons share a group, or name them under not_with",
        )  # fmt: skip


def bargain_text(look: Look, bargain: Bargain) -> str:
    """`2 × 50.00 (shoes) cost 45.00 instead of 100.00 with a, b`."""
    goods = " and ".join(line_text(look, line) for line in bargain.cart.lines)
    shipping = f" and shipping {yuan_text(bargain.cart.shipping)}" if bargain.cart.shipping else ""
    names = ", ".join(bargain.names)
    return f"{goods}{shipping} cost {yuan_text(bargain.paid)} instead of {yuan_text(bargain.whole)} with {names}"


def line_text(look: Look, line: Line) -> str:
    names = look.policy.names
    kinds = ((line.product, names.products), (line.brand, names.brands), (line.category, names.categories))
    known = [declared[number] for number, declared in kinds if number >= 0]
    return f"{line.quantity} × {yuan_text(line.unit_price)}" + (f" ({' '.join(known)})" if known else "")


# --- Questions for counsel --------------------------------------------------------------------------------------------
def prizes(look: Look) -> Iterator[Finding]:
    said = {name: text for _, name, _, _, text in texts(look) if ODDS.search(text)}
    for path, coupon in look.coupons():
        name = name_of(path)
        if coupon.kind == "right" and (coupon.worth or 0) > PRIZE_MOST:
            yield Finding(
                "W25", "ask", f"{path}.worth",
                f"{name} is worth {yuan_text(coupon.worth or 0)} yuan, more than {yuan_text(PRIZE_MOST)}",
                "ask counsel whether a prize may be so high",
            )  # fmt: skip
        if coupon.confirm_within is not None and name not in said:
            yield Finding(
                "W25", "ask", f"{path}.text",
                f"no text of {name} says how likely it is to win it",
                "publish the odds (as 1 in 1000, or 0.1%); or ask counsel",
            )  # fmt: skip


@dataclass(frozen=True)
class Giver:
    """A way to get a coupon: where it says for whom, and which personal facts that reads beyond published classes."""

    path: str
    coupon: str
    facts: tuple[str, ...]


def givers(look: Look) -> Iterator[Giver]:
    """Campaigns that offer coupons; and coupons that no campaign offers, by their own audience."""
    offered = set()
    for path, campaign in look.campaigns():
        if campaign.coupon is not None:
            offered.add(campaign.coupon)
            yield Giver(f"{path}.audience", campaign.coupon, facts_of(look, path, campaign))
    for path, _ in look.coupons():
        if name_of(path) not in offered:
            yield Giver(f"{path}.audience", name_of(path), tuple(hidden(look, own_audience(look, name_of(path)))))


def facts_of(look: Look, path: str, campaign: Campaign) -> tuple[str, ...]:
    row = look.row(path)
    starts = [int(row["audience"]), int(row["condition"]), own_audience(look, campaign.coupon or "")]
    return tuple(dict.fromkeys(fact for start in starts for fact in hidden(look, start)))


def own_audience(look: Look, coupon: str) -> int:
    return int(look.compiled.tables.coupons[look.compiled.coupons[coupon]].audience)


def hidden(look: Look, start: int) -> Iterator[str]:
    """Personal facts that a condition reads and that are no published class."""
    for fact in sorted(facts_read(look.compiled.tables.steps, start) - public_facts(look)):
        if fact >= FIRST_PERSONAL_FACT:
            yield Fact(fact).name.lower()


def public_facts(look: Look) -> set[int]:
    """Members, tiers and new customers; and what the segments that the policy publishes read."""
    tables, names = look.compiled.tables, list(look.policy.segments)
    published = [int(tables.segments[names.index(name)]) for name in look.policy.lint.published]
    return {int(fact) for fact in PUBLIC_FACTS}.union(*(facts_read(tables.steps, start) for start in published))


def value_of(coupon: Coupon) -> tuple[int | None, ...]:
    """Face value and threshold."""
    return coupon.off, coupon.over, coupon.full, coupon.rate, coupon.every, coupon.up_to


def personal_prices(look: Look) -> Iterator[Finding]:
    ways = list(givers(look))
    for kind in CHECKOUT_KINDS:
        of_kind = [way for way in ways if look.policy.coupons[way.coupon].kind == kind]
        values = {value_of(look.policy.coupons[way.coupon]) for way in of_kind}
        personal = [way for way in of_kind if way.facts]
        if len(values) < 2 or not personal:
            continue
        names = list(dict.fromkeys(way.coupon for way in of_kind))
        facts = list(dict.fromkeys(fact for way in personal for fact in way.facts))
        yield Finding(
            "W26", "ask", personal[0].path,
            f"{', '.join(names)} are {kind} coupons of different value, and who gets which depends on"
            f" {', '.join(facts)}",
            "ask counsel whether this is a personal price; name under lint.published the segments that you publish",
        )  # fmt: skip


COUPON_CHECKS = (
    unbounded, too_cheap, wallet_too_small, untrue_numbers, countdown_restarts, prizes, personal_prices,
)  # fmt: skip
