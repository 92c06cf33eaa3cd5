"""What a policy may say and a strategist should still know before it runs: findings with stable codes.

Engineers are not counsel: where the law is in question a finding asks, it never pronounces.
"""

import ast
import re
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

from engine.policy.campaign import Campaign, PredictedResponse
from engine.policy.coupon import Coupon
from engine.policy.findings import Finding
from engine.policy.lint_coupons import COUPON_CHECKS
from engine.policy.lint_fraud import FRAUD_CHECKS
from engine.policy.lint_reach import REACH_CHECKS
from engine.policy.lint_ring import ring_too_small
from engine.policy.lint_scarcity import scarcity
from engine.policy.look import Look, name_of, uses_attention
from engine.policy.quantities import yuan_text
from engine.records import (
    REJECT,
    RESPONSE_ONE,
    SHARE_ONE,
)

if TYPE_CHECKING:
    from engine.policy.document import Policy
    from engine.policy.tables import CompiledPolicy

NEW_CUSTOMER_DAYS = 30
CREDIT = re.compile(r"(?i)\binstall?ments?\b|\bloans?\b|分期|贷款|借款")
QUIET_CHANNELS = ("push", "sms", "voice")


def lint(policy: "Policy", compiled: "CompiledPolicy") -> list[Finding]:
    """All findings, by check and then in the order of the policy."""
    look = Look(policy, compiled)
    findings = [finding for check in (*CHECKS, *COUPON_CHECKS, *FRAUD_CHECKS) for finding in check(look)]
    return findings + [finding for check in REACH_CHECKS for finding in check(compiled)]


# --- Experiments ------------------------------------------------------------------------------------------------------
def shared_salts(look: Look) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for salt, path in salts(look):
        if salt in seen:
            yield Finding(
                "W01", "error", path,
                f"{seen[salt]} and {path} draw customers with one salt, {salt!r}: the same customers fall into both, so"
                " the effects of the two experiments cannot be told apart",
                "give each experiment a salt of its own, or leave salt out",
            )  # fmt: skip
        seen.setdefault(salt, path)


def salts(look: Look) -> Iterator[tuple[str, str]]:
    """The salt of every experiment, and where it is set."""
    policy = look.policy
    if policy.universal_holdout is not None:
        yield policy.universal_holdout.salt or f"{policy.policy}/universal", "universal_holdout.salt"
    for path, campaign in look.campaigns():
        if campaign.arms:
            yield campaign.salt or f"{policy.policy}/{name_of(path)}", f"{path}.salt"
        if campaign.holdout is not None:
            yield campaign.holdout.salt or f"{policy.policy}/{name_of(path)}/holdout", f"{path}.holdout.salt"


# --- Money ------------------------------------------------------------------------------------------------------------
def ranks_by_response(look: Look) -> Iterator[Finding]:
    if look.policy.ranking.by != "response":
        return
    shares = {
        name_of(path): 100 * min(campaign.response.otherwise, campaign.response.shown) // campaign.response.shown
        for path, campaign in look.campaigns()
        if campaign.response.shown
    }
    worst = max(shares, key=lambda name: shares[name], default=None)
    example = f": of 100 conversions counted for {worst}, {shares[worst]} come without the message" if worst else ""
    yield Finding(
        "W03", "warning", "ranking.by",
        f"ranking by response buys conversions that would happen anyway{example}",
        "rank by uplift: messages then go to customers whom they change",
    )  # fmt: skip


def response_paths(path: str, campaign: Campaign) -> Iterator[tuple[str, PredictedResponse]]:
    yield f"{path}.response", campaign.response
    for segment, response in campaign.response_by_segment.items():
        yield f"{path}.response_by_segment.{segment}", response


def not_worth_attention(look: Look) -> Iterator[Finding]:
    price = look.policy.ranking.price_of_attention
    for path, campaign in look.campaigns():
        best = max(response.shown - response.otherwise for _, response in response_paths(path, campaign))
        if campaign.purpose == "service" or not uses_attention(campaign) or best <= 0 or price == 0:
            continue
        if campaign.value * best <= price * RESPONSE_ONE:
            worth = campaign.value * best / RESPONSE_ONE / 100
            yield Finding(
                "W07", "warning", f"{path}.value",
                f"a message of {name_of(path)} brings at best {worth:.4f} yuan and takes attention worth"
                f" {yuan_text(price)}: every one loses money",
                "raise value if a conversion is worth more, move it to a passive place, or drop it",
            )  # fmt: skip


def does_nothing(look: Look) -> Iterator[Finding]:
    for path, campaign in look.campaigns():
        for place, response in response_paths(path, campaign):
            if response.shown <= response.otherwise:
                effect = "does nothing" if response.shown == response.otherwise else "does harm"
                yield Finding(
                    "W08", "warning", place,
                    f"{name_of(path)} is predicted to be a message that {effect}: customers respond no more with it"
                    " than without",
                    "leave these customers out of the audience, or correct the prediction",
                )  # fmt: skip


def reward_above_value(look: Look) -> Iterator[Finding]:
    for path, campaign in look.campaigns():
        coupon = look.offered(campaign)
        gives, field = (campaign.reward, "reward") if coupon is None else (always_costs(coupon), "coupon")
        if gives > campaign.value:
            yield Finding(
                "W15", "warning", f"{path}.{field}",
                f"{name_of(path)} gives {yuan_text(gives)} yuan for a conversion worth {yuan_text(campaign.value)}:"
                " every customer it wins costs money",
                "lower what it gives, or let value say what a customer is worth over time",
            )  # fmt: skip


def always_costs(coupon: Coupon) -> int:
    """What every redemption costs; 0 where that depends on the cart."""
    return (coupon.cost_most or 0) if coupon.kind in ("amount_off", "right") else 0


# --- Reach ------------------------------------------------------------------------------------------------------------
def nothing_without_personalisation(look: Look) -> Iterator[Finding]:
    paths = [path for path, _ in look.campaigns()]
    if paths and all(look.row(path)["personal"] for path in paths):
        yield Finding(
            "W04", "error", "campaigns",
            "customers who switch personalisation off get no campaign at all: every audience or condition reads"
            " personal facts",
            "add a campaign without audience, for everyone",
        )  # fmt: skip


def never_shown(look: Look) -> Iterator[Finding]:
    for path, campaign in look.campaigns():
        for place, why, advice in obstacles(look, path, campaign):
            yield Finding("W05", "error", place, f"{name_of(path)} can never be shown: {why}", advice)


def obstacles(look: Look, path: str, campaign: Campaign) -> Iterator[tuple[str, str, str]]:
    """Each reason why no customer can ever see a campaign: where, why, what to do."""
    policy = look.policy
    pages = policy.names.pages if campaign.trigger.pages is None else campaign.trigger.pages
    on_pages = campaign.trigger.pages is not None or campaign.trigger.on in ("page_view", "slot_view")
    if on_pages and set(pages) <= set(policy.protected_pages):
        yield f"{path}.trigger.pages", "all its pages are protected", "trigger it on another page"
    first = int(look.compiled.tables.days["date"][0])
    today = date(first // 10_000, first // 100 % 100, first % 100)
    if campaign.window.until is not None and campaign.window.until <= today:
        yield f"{path}.window.until", f"its window ended before {today}", "move the window, or drop the campaign"
    if campaign.holdout is not None and campaign.holdout.share == SHARE_ONE:
        yield f"{path}.holdout.share", "everyone is held out", "hold out less than 100%"
    universal = policy.universal_holdout
    if universal is not None and universal.share == SHARE_ONE and campaign.purpose != "service":
        yield "universal_holdout.share", "everyone is held out", "hold out less than 100%"
    row = look.row(path)
    for field, place in (("audience", "audience"), ("condition", "trigger.when")):
        if row[field] == REJECT:
            yield f"{path}.{place}", "its condition holds for nobody", "correct the condition"


def unlimited(look: Look) -> Iterator[Finding]:
    fatigue = look.policy.fatigue
    for path, campaign in look.campaigns():
        channel = fatigue.channels.get(campaign.channel)
        limits = [campaign.frequency.caps, campaign.frequency.cool_down, fatigue.caps, channel and channel.caps]
        if campaign.purpose != "service" and uses_attention(campaign) and not any(limits):
            yield Finding(
                "W06", "warning", f"{path}.frequency",
                f"nothing limits how often a customer gets {name_of(path)} by {campaign.channel}",
                "give it a cap or a cool-down, or cap the channel or all messages under fatigue",
            )  # fmt: skip


def no_quiet_hours(look: Look) -> Iterator[Finding]:
    loud = [f"{name_of(path)} ({c.channel})" for path, c in look.campaigns() if c.channel in QUIET_CHANNELS]
    if loud and look.policy.fatigue.quiet_hours is None:
        yield Finding(
            "W12", "warning", "fatigue.quiet_hours",
            f"customers can be woken at night: there are no quiet hours, and {', '.join(loud)} can reach them any time",
            'set fatigue.quiet_hours, as {from: "22:00", until: "08:00"}',
        )  # fmt: skip


def no_way_to_rest(look: Look) -> Iterator[Finding]:
    popups = [creative for _, campaign, creative in look.creatives() if campaign.channel == "popup"]
    if popups and look.policy.fatigue.back_off is None:
        yield Finding(
            "W13", "warning", "fatigue.back_off",
            "a customer who closes every pop-up goes on getting them: pop-ups have no back-off",
            "set fatigue.back_off, as {closes: 3, rest: 7d}",
        )  # fmt: skip
    if popups and not any(creative.mute for creative in popups):
        yield Finding(
            "W13", "warning", "campaigns",
            "no pop-up lets a customer say \"don't show again\": the only answer left is to complain",
            "set mute: true on the creatives of pop-ups",
        )  # fmt: skip


def idle_segments(look: Look) -> Iterator[Finding]:
    """The first segment that fits names the customer: one that cannot be first, and that nothing names, is idle."""
    segments = look.policy.segments
    words = " ".join(filter(None, conditions(look)))
    used = {name for _, campaign in look.campaigns() for name in campaign.response_by_segment}
    used |= set(re.findall(r"[a-z_][a-z0-9_]*", words)) & set(segments)
    earlier: dict[str, str] = {}
    for name, text in segments.items():
        tree = ast.dump(ast.parse(text.strip(), mode="eval"))
        why = f"every customer in it is already in {earlier[tree]}" if tree in earlier else None
        if EVERYONE in earlier:
            why = f"{earlier[EVERYONE]} before it takes everyone"
        elif tree == NOBODY:
            why = "its condition holds for nobody"
        if why is not None and name not in used:
            yield Finding(
                "W14", "warning", f"segments.{name}",
                f"segment {name} is declared and never used: {why}, and no campaign names it",
                "drop it, move it up, or correct its condition",
            )  # fmt: skip
        earlier.setdefault(tree, name)


EVERYONE, NOBODY = (ast.dump(ast.parse(text, mode="eval")) for text in ("True", "False"))


def conditions(look: Look) -> Iterator[str | None]:
    """Every condition in which a segment may be named by others."""
    for name, text in look.policy.segments.items():
        yield re.sub(rf"\b{name}\b", "", text)
    for _, campaign in look.campaigns():
        yield campaign.audience
        yield campaign.trigger.when


# --- Questions for counsel, and what credit must state ----------------------------------------------------------------
def new_customer_offers(look: Look) -> Iterator[Finding]:
    for path, gives, audience, ends in offers(look):
        bounds = list(joined_bounds(audience, look.policy.segments)) if audience else []
        if not bounds:
            continue
        longest = max(bounds)
        if longest > NEW_CUSTOMER_DAYS:
            yield Finding(
                "W09", "ask", f"{path}.audience",
                f"{gives} to customers as new up to {longest:g} days after they joined, longer than"
                f" {NEW_CUSTOMER_DAYS}",
                "ask counsel whether this still is an offer to new customers",
            )  # fmt: skip
        if not ends:
            field = "window.until" if path.startswith("campaigns.") else "claim.until"
            yield Finding(
                "W09", "ask", f"{path}.{field}",
                f"{gives} to new customers only, with no published end",
                f"ask counsel, or set {field}",
            )  # fmt: skip


def offers(look: Look) -> Iterator[tuple[str, str, str | None, bool]]:
    """(path, "x gives y", condition on who gets it, whether it ends) of every campaign and coupon that gives."""
    for path, campaign in look.campaigns():
        coupon = look.offered(campaign)
        if coupon is not None:
            ends = campaign.window.until is not None or coupon.claim.until is not None
            yield path, f"{name_of(path)} gives {campaign.coupon}", campaign.audience, ends
        elif campaign.reward:
            gives = f"{name_of(path)} gives {yuan_text(campaign.reward)} yuan"
            yield path, gives, campaign.audience, campaign.window.until is not None
    for path, coupon in look.coupons():
        yield path, f"{name_of(path)} is given", coupon.audience, coupon.claim.until is not None


def joined_bounds(text: str, segments: dict[str, str]) -> Iterator[float]:
    """Upper bounds on days_since_joined in a condition and the segments it names; 0 for a segment `new` without one."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return
    yield from bounds_in(tree, segments, holds=True)


def bounds_in(node: ast.expr, segments: dict[str, str], *, holds: bool) -> Iterator[float]:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield from bounds_in(node.operand, segments, holds=not holds)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from bounds_in(value, segments, holds=holds)
    elif isinstance(node, ast.Name) and node.id in segments:
        names = list(segments)
        earlier = {name: segments[name] for name in names[: names.index(node.id)]}
        inner = ast.parse(segments[node.id].strip(), mode="eval").body
        found = list(bounds_in(inner, earlier, holds=holds))
        yield from found or ([0.0] if holds and node.id == "new" else [])
    elif isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        for left, op, right in zip(sides, node.ops, sides[1:], strict=False):
            yield from bound_of(left, op, right, holds=holds)


def bound_of(left: ast.expr, op: ast.cmpop, right: ast.expr, *, holds: bool) -> Iterator[float]:
    """The upper bound that one comparison sets on days_since_joined."""
    below, above = (ast.Lt, ast.LtE), (ast.Gt, ast.GtE)
    for fact, bound, upper in ((left, right, below), (right, left, above)):
        is_upper = isinstance(op, ast.Eq) if holds else isinstance(op, ast.NotEq)
        is_upper = is_upper or isinstance(op, upper if holds else (above if upper is below else below))
        if (
            isinstance(fact, ast.Name)
            and fact.id == "days_since_joined"
            and isinstance(bound, ast.Constant)
            and is_upper
        ):
            yield float(bound.value)  # type: ignore[arg-type]


def credit_without_rate(look: Look) -> Iterator[Finding]:
    for path, _, creative in look.creatives():
        found = CREDIT.search(creative.text)
        if found and creative.annual_rate is None:
            yield Finding(
                "W11", "error", f"{path}.annual_rate",
                f"the text of {name_of(path)} offers credit ({found[0]!r}) without its annual rate",
                "set annual_rate; ask counsel how it must be worded",
            )  # fmt: skip


CHECKS = (
    shared_salts, ring_too_small, ranks_by_response, nothing_without_personalisation, never_shown, unlimited,
    not_worth_attention, does_nothing, new_customer_offers, scarcity, credit_without_rate, no_quiet_hours,
    no_way_to_rest, idle_segments, reward_above_value,
)  # fmt: skip
