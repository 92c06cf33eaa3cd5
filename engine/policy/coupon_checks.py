"""Checks between coupons, budgets and the names of a policy. What is broken in itself has nothing to say here."""

from collections.abc import Collection, Iterator, Mapping
from functools import partial

from engine.coupon_records import GROUPS_MAX, PriceStage
from engine.policy.budget import Budget
from engine.policy.campaign import Campaign
from engine.policy.checks import Checks, known
from engine.policy.coupon import Coupon, Group
from engine.policy.quantities import Block, Path, Problem

Coupons = Mapping[str, Coupon]
STAGE_GROUPS = tuple(stage.name.lower() for stage in PriceStage)  # the default group of each stage
OWN_GROUPS_MAX = GROUPS_MAX - len(STAGE_GROUPS)

# Where a coupon names something, and which of `names` declares it.
DECLARED_IN: tuple[tuple[tuple[str, ...], str], ...] = (
    (("items", "categories"), "categories"),
    (("items", "brands"), "brands"),
    (("items", "products"), "products"),
    (("members",), "tiers"),
    (("regions",), "cities"),
    (("places",), "places"),
)


def at(block: object, *steps: str) -> object:
    """The value of a field below a block; None where it is broken or not given."""
    for step in steps:
        block = block.__dict__.get(step) if isinstance(block, Block) else None
    return block


def between_coupons(coupons: Coupons, budgets: Collection[str] | None) -> Checks:
    """Checks of coupons against each other, and of the budgets they name (None: those are broken)."""
    for name in coupons:
        yield partial(others_are_coupons, coupons, name)
        yield partial(fallback_ends, coupons, name)
        if budgets is not None:
            yield partial(budget_is_declared, at(coupons[name], "budget"), ("coupons", name, "budget"), budgets)
    yield partial(groups_agree, coupons)
    yield partial(groups_are_few, coupons)


def others_are_coupons(coupons: Coupons, name: str) -> Iterator[Problem]:
    not_with, fallback = at(coupons[name], "not_with"), at(coupons[name], "fallback")
    for number, other in enumerate(not_with if isinstance(not_with, list) else []):
        yield from known(other, ("coupons", name, "not_with", number), "coupons", coupons)
    if fallback == name:
        yield ("coupons", name, "fallback"), f"must be another coupon (got {name})"
    elif isinstance(fallback, str):
        yield from known(fallback, ("coupons", name, "fallback"), "coupons", coupons)


def fallback_ends(coupons: Coupons, name: str) -> Iterator[Problem]:
    """Told once for each circle, at its coupon that is declared first."""
    way = [name]
    while isinstance(after := at(coupons.get(way[-1]), "fallback"), str) and after not in way:
        way.append(after)
    if after == name and len(way) > 1 and name == min(way, key=list(coupons).index):
        circle = " → ".join([*way, name])
        yield ("coupons", name, "fallback"), f"must not lead back to {name} (got {circle})"


def budget_is_declared(budget: object, path: Path, budgets: Collection[str]) -> Iterator[Problem]:
    if isinstance(budget, str):
        yield from known(budget, path, "budgets", budgets)


def groups(coupons: Coupons) -> Iterator[tuple[str, Group]]:
    """Coupons with a group of their own, and the group."""
    for name, coupon in coupons.items():
        group = at(coupon, "group")
        if isinstance(group, Group) and isinstance(at(group, "name"), str):
            yield name, group


def groups_agree(coupons: Coupons) -> Iterator[Problem]:
    said: dict[str, tuple[str, int]] = {}
    for name, group in groups(coupons):
        most = at(group, "most")
        if isinstance(most, int):
            first, before = said.setdefault(group.name, (name, most))
            if most != before:
                sentence = f"must be {before}, as {first} says of group {group.name} (got {most})"
                yield ("coupons", name, "group", "most"), sentence


def groups_are_few(coupons: Coupons) -> Iterator[Problem]:
    own = {group.name for _, group in groups(coupons)} - set(STAGE_GROUPS)
    if len(own) > OWN_GROUPS_MAX:
        yield ("coupons",), f"must have at most {OWN_GROUPS_MAX} groups of their own (got {len(own)})"


def names_are_declared(name: str, coupon: Coupon, names: Block) -> Iterator[Problem]:
    """Items, members, regions and places of a coupon are among the policy's names."""
    for place, kind in DECLARED_IN:
        given, declared = at(coupon, *place), at(names, kind)
        if isinstance(given, list) and isinstance(declared, list):
            for number, one in enumerate(given):
                yield from known(one, ("coupons", name, *place, number), f"names.{kind}", declared)


def channels_have_one_budget(budgets: Mapping[str, Budget]) -> Iterator[Problem]:
    paid_by: dict[str, str] = {}
    for name, budget in budgets.items():
        channels = at(budget, "channels")
        for number, channel in enumerate(channels if isinstance(channels, list) else []):
            first = paid_by.setdefault(channel, name)
            if first != name:
                path = ("budgets", name, "channels", number)
                yield path, f"must be a channel that no other budget pays for (got {channel}, which {first} pays for)"


def campaign_names_what_is_there(
    name: str, campaign: Campaign, coupons: Coupons | None, budgets: Collection[str] | None
) -> Iterator[Problem]:
    """The coupon and the budget of a campaign (None: those are broken)."""
    coupon = at(campaign, "coupon")
    if isinstance(coupon, str) and coupons is not None:
        yield from known(coupon, ("campaigns", name, "coupon"), "coupons", coupons)
    if budgets is not None:
        yield from budget_is_declared(at(campaign, "budget"), ("campaigns", name, "budget"), budgets)
