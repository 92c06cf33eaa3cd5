"""What a missed goal calls for, rule by rule: whose doing it was, and the field of the policy that would change it.

Each rule looks at the days of the goal's phase. It answers with a change that can be simulated, or with None where it
has nothing to say.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from engine.policy.campaign import Campaign, Cap
from engine.policy.coupon import Coupon
from engine.policy.document import Policy
from engine.policy.quantities import clock_text, duration_text, share_text, yuan_text
from engine.records import DAY_MS, WEEK_MS
from results.query import Database, quoted
from scenarios.calendar import drops_of
from scenarios.load import LoadedScenario, spans_of

PER_MS = {"day": DAY_MS, "week": WEEK_MS, "month": 30 * DAY_MS}
DROP_LASTS_MS = 600_000  # the rush after a drop
BREAKER = "{measure: payment_failures, window: 3min, above: 20%, least: 12, closes_by: decision}"


@dataclass(frozen=True)
class Scene:
    """A missed goal, and all that rules may look at."""

    loaded: LoadedScenario
    database: Database
    goal: Mapping[str, Any]
    first: str
    last: str

    @property
    def policy(self) -> Policy:
        return self.loaded.policy

    @property
    def whose(self) -> str:
        """The campaign, coupon or budget that the goal names; nothing where it is of all of them."""
        return str(self.goal["metric"]).partition("[")[2].removesuffix("]").partition("/")[0]

    @property
    def days(self) -> str:
        return f"date BETWEEN {quoted(self.first)} AND {quoted(self.last)}"

    @property
    def since_launch(self) -> str:
        return f"phase <> 'before' AND date <= {quoted(self.last)}"

    def greatest(self, sql: str) -> str:
        """The first word of a query of names, the greatest first."""
        rows = self.database.rows(sql)
        return str(rows[0][0]) if rows else ""


@dataclass(frozen=True)
class FollowUp:
    """rule: which sentence tells it; to: what the field becomes, in words; query: of the share that was whose doing."""

    rule: str
    whose: str
    to: str = ""
    query: str = ""
    policy: Mapping[str, str] = field(default_factory=dict)  # fields of the policy, by path
    population: Mapping[str, str] = field(default_factory=dict)
    without: str = ""  # a campaign or coupon


Rule = Callable[[Scene], FollowUp | None]


# --- messages ---------------------------------------------------------------------------------------------------------
REACTIONS = {"complaint": "complaints", "complaints": "complaints", "close": "closes", "mute": "mutes"}


def cap_the_loudest(scene: Scene) -> FollowUp | None:
    """Too many reactions: the campaign that drew most of them is shown less often."""
    counted = REACTIONS.get(scene.goal["metric"].partition("_")[0], "closes + mutes + complaints")
    name = scene.whose or scene.greatest(
        f"SELECT campaign FROM cells WHERE {scene.days} GROUP BY campaign HAVING sum({counted}) > 0 "
        f"ORDER BY sum({counted}) DESC, campaign"
    )
    if name not in scene.policy.campaigns:
        return None
    asked = quoted(name)
    query = (
        f"SELECT sum({counted}) FILTER (WHERE campaign = {asked}) / nullif(sum({counted}), 0) FROM cells "
        f"WHERE {scene.days}"
    )
    to, caps = next_cap(scene.policy.campaigns[name])
    if not caps:
        return FollowUp("pause", name, query=query, without=name)
    return FollowUp("cap", name, to, query, {f"campaigns.{name}.frequency": caps})


CAPS = (
    (2, "week", 2.0, "at most 2 a week"),
    (1, "week", 1.0, "at most 1 a week"),
    (1, "14d", 0.5, "at most 1 in two weeks"),
)


def next_cap(campaign: Campaign) -> tuple[str, str]:
    """The next lower step in words and as a field; nothing where there is none."""
    week = min((per_week(cap) for cap in campaign.frequency.caps), default=float("inf"))
    rest = f", cool_down: {duration_text(campaign.frequency.cool_down)}" if campaign.frequency.cool_down else ""
    for most, per, each_week, words in CAPS:
        if each_week < week:
            return words, f"{{caps: [{{most: {most}, per: {per}}}]{rest}}}"
    return "", ""


def per_week(cap: Cap) -> float:
    return cap.most * WEEK_MS / (PER_MS[cap.per] if isinstance(cap.per, str) else cap.per)


# --- reach ------------------------------------------------------------------------------------------------------------
def reach_more(scene: Scene) -> FollowUp | None:
    """Too few saw it: whatever refused most candidates who might have seen it for the first time gives way."""
    name = scene.whose
    if name not in scene.policy.campaigns:
        return None
    refused = f"FROM waterfall WHERE campaign = {quoted(name)} AND {scene.days}"
    reasons = scene.database.rows(
        f"SELECT reason {refused} AND reason NOT IN ('shown', 'paused', 'outside_window') GROUP BY reason "
        "ORDER BY sum(candidates) DESC, reason"
    )
    for (reason,) in reasons:
        change = gives_way(scene.policy, name, str(reason))
        if change is not None:
            to, fields = change
            query = (
                f"SELECT sum(candidates) FILTER (WHERE reason = {quoted(str(reason))}) / nullif(sum(candidates), 0) "
                f"{refused}"
            )
            return FollowUp(f"reach_{reason}", name, to, query, fields)
    return None


def gives_way(policy: Policy, name: str, reason: str) -> tuple[str, dict[str, str]] | None:
    """What lets more customers see a campaign, where a reason stood in the way: words and fields."""
    campaign, path = policy.campaigns[name], f"campaigns.{name}"
    if reason == "not_in_audience" and campaign.audience is not None:
        return "everybody", {f"{path}.audience": "none"}
    if reason == "condition" and campaign.trigger.when is not None:
        return "without its condition", {f"{path}.trigger.when": "none"}
    if reason == "dwell" and campaign.trigger.dwell:
        half = duration_text(campaign.trigger.dwell // 2)
        return f"after {half}", {f"{path}.trigger.dwell": half}
    if reason == "lost_arbitration":
        first = min(1000, max(other.priority for other in policy.campaigns.values()) + 1)
        return f"priority {first}", {f"{path}.priority": str(first)}
    if reason == "total_cap" and policy.fatigue.caps:
        return "one more", {f"fatigue.caps[{i}].most": str(cap.most + 1) for i, cap in enumerate(policy.fatigue.caps)}
    if reason == "held_out" and campaign.holdout is not None and campaign.holdout.share > 0:
        half = share_text(campaign.holdout.share // 2)
        return half, {f"{path}.holdout.share": half}
    if reason == "out_of_stock" and campaign.coupon and (pieces := policy.coupons[campaign.coupon].pieces):
        return f"{2 * pieces:,} pieces", {f"coupons.{campaign.coupon}.pieces": str(2 * pieces)}
    return None


# --- coupons ----------------------------------------------------------------------------------------------------------
def refusals(scene: Scene, coupon: str, answer: str) -> str:
    """Of the claims of a coupon, the share with one answer."""
    return (
        f"SELECT sum(claims) FILTER (WHERE answer = {quoted(answer)}) / nullif(sum(claims), 0) FROM claims "
        f"WHERE coupon = {quoted(coupon)} AND {scene.since_launch}"
    )


def grant_more(scene: Scene) -> FollowUp | None:
    """Too many claims were refused, or too few granted: the commonest refusal gives way."""
    own = f"AND coupon = {quoted(scene.whose)}" if scene.whose else ""
    rows = scene.database.rows(
        f"SELECT coupon, answer FROM claims WHERE {scene.since_launch} AND answer <> 'granted' {own} "
        "GROUP BY coupon, answer ORDER BY sum(claims) DESC, coupon, answer"
    )
    for coupon, answer in rows:
        change = granting(scene, str(coupon), str(answer)) if coupon in scene.policy.coupons else None
        if change is not None:
            return change
    return offer_better(scene)


def granting(scene: Scene, name: str, answer: str) -> FollowUp | None:
    coupon, path, query = scene.policy.coupons[name], f"coupons.{name}", refusals(scene, name, answer)
    if answer == "out_of_stock" and coupon.pieces is not None:
        if supplier := short_supplier(scene, name):
            return FollowUp("supplier", name, supplier, query, population={f"incidents.{supplier}": "none"})
        pieces = wanted_pieces(scene, name)
        return FollowUp("more_pieces", name, f"{pieces:,} pieces", query, {f"{path}.pieces": str(pieces)})
    if answer == "budget" and coupon.budget is not None:
        amount = scene.policy.budgets[coupon.budget].amount * 3 // 2
        return FollowUp("more_budget", coupon.budget, f"¥{amount // 100:,}", query,
                        {f"budgets.{coupon.budget}.amount": yuan_text(amount)})  # fmt: skip
    if answer == "limit":
        limits = [{"most": limit.most + 1, "per": limit.per} for limit in coupon.claims]
        return FollowUp(
            "raise_limit", name, "one more for each customer", query, {f"{path}.limits": limit_text(limits)}
        )
    if answer == "not_eligible" and coupon.audience is not None:
        return FollowUp("open_audience", name, "everybody", query, {f"{path}.audience": "none"})
    return None


def limit_text(limits: Sequence[Mapping[str, Any]]) -> str:
    def one(limit: Mapping[str, Any]) -> str:
        per = limit["per"]
        if per is None:
            return f"{{most: {limit['most']}}}"
        return f"{{most: {limit['most']}, per: {per if isinstance(per, str) else duration_text(per)}}}"

    return f"[{', '.join(map(one, limits))}]"


def short_supplier(scene: Scene, coupon: str) -> str:
    """The incident for which pieces of a coupon were not there."""
    incidents = scene.loaded.population.incidents
    return next((name for name, one in incidents.items() if one.stock_out and one.stock_out.coupon == coupon), "")


def wanted_pieces(scene: Scene, coupon: str) -> int:
    """What was granted, and what was refused for want of pieces; two digits, rounded up."""
    asked = int(scene.database.number(
        f"SELECT sum(claims) FROM claims WHERE coupon = {quoted(coupon)} AND answer IN ('granted', 'out_of_stock') "
        f"AND {scene.since_launch}"
    ))  # fmt: skip
    unit = 10 ** max(0, len(str(asked)) - 2)
    return max(-(-asked // unit) * unit, (scene.policy.coupons[coupon].pieces or 0) + 1)


def grant_fewer(scene: Scene) -> FollowUp | None:
    """Too many claims: of those granted there are no more than was planned; those refused are granted."""
    if not scene.goal["metric"].endswith("/granted]"):
        return grant_more(scene)
    pieces = max(1, int(scene.goal["high"]))
    return FollowUp(
        "no_more_pieces", scene.whose, f"{pieces:,} pieces", "", {f"coupons.{scene.whose}.pieces": str(pieces)}
    )


def fewer_pieces(scene: Scene) -> FollowUp | None:
    """Too many are left: no more than were wanted."""
    coupon = scene.policy.coupons.get(scene.whose)
    if coupon is None or coupon.pieces is None:
        return None
    granted = int(scene.database.number(
        f"SELECT sum(claims) FROM claims WHERE coupon = {quoted(scene.whose)} AND answer = 'granted' "
        f"AND {scene.since_launch}"
    ))  # fmt: skip
    pieces = max(1, granted)
    if pieces >= coupon.pieces:
        return None
    query = (
        f'SELECT arg_max("left", date) / arg_max(delivered, date) FROM stock_days '
        f"WHERE coupon = {quoted(scene.whose)} AND date <= {quoted(scene.last)}"
    )
    return FollowUp(
        "fewer_pieces", scene.whose, f"{pieces:,} pieces", query, {f"coupons.{scene.whose}.pieces": str(pieces)}
    )


def offer_better(scene: Scene) -> FollowUp | None:
    """Too few claim it or use it: it lasts longer, or its threshold falls by a fifth, or it takes off a fifth more."""
    name = scene.whose
    coupon = scene.policy.coupons.get(name)
    return None if coupon is None else better(name, coupon, scene.goal["metric"].startswith("redemption"))


def better(name: str, coupon: Coupon, lasts: bool) -> FollowUp | None:
    path = f"coupons.{name}"
    if lasts and coupon.valid is not None and coupon.valid.for_ and coupon.valid.until is None:
        longer = duration_text(2 * coupon.valid.for_)
        return FollowUp("lasts_longer", name, longer, policy={f"{path}.valid": longer})
    if coupon.over is not None and coupon.over * 4 // 5 > (coupon.off or 0):
        over = coupon.over * 4 // 5
        return FollowUp("lower_threshold", name, f"¥{yuan_text(over)}", policy={f"{path}.over": yuan_text(over)})
    if coupon.rate is not None:
        rate = share_text(min(1_000_000, coupon.rate * 6 // 5))
        return FollowUp("stronger", name, rate, policy={f"{path}.rate": rate})
    return None


def spend_less(scene: Scene) -> FollowUp | None:
    """A budget is used up too soon: the coupon that draws most on it has fewer pieces."""
    ours = [name for name, coupon in scene.policy.coupons.items() if coupon.budget == scene.whose]
    if not ours:
        return None
    listed = ", ".join(map(quoted, ours))
    spent = f"FROM cohorts WHERE since_launch AND coupon IN ({listed})"
    name = scene.greatest(f"SELECT coupon {spent} GROUP BY coupon ORDER BY sum(discount) DESC, coupon")
    if not name:
        return None
    query = f"SELECT sum(discount) FILTER (WHERE coupon = {quoted(name)}) / nullif(sum(discount), 0) {spent}"
    granted = int(scene.database.number(f"SELECT sum(granted) FROM cohorts WHERE coupon = {quoted(name)}"))
    pieces = max(1, granted * 4 // 5)
    return FollowUp("spend_less", name, f"{pieces:,} pieces", query, {f"coupons.{name}.pieces": str(pieces)})


# --- capacity ---------------------------------------------------------------------------------------------------------
def spread(scene: Scene) -> FollowUp | None:
    """The busiest minute is that of a drop: without it claims come as customers do. Else the machine is measured."""
    claims = "claims" in scene.goal["metric"]
    column = "claims" if claims else "decisions"
    query = (
        f"SELECT arg_max(claims, {column}) / nullif(max(decisions), 0) FROM traffic WHERE {scene.days}"
        if not claims else f"SELECT max(claims) / nullif(sum(claims), 0) FROM traffic WHERE {scene.days}"
    )  # fmt: skip
    busiest = int(scene.database.number(f"SELECT arg_max(time_ms, {column}) FROM traffic WHERE {scene.days}"))
    spans = spans_of(scene.loaded.scenario, ZoneInfo(scene.policy.time_zone), DAY_MS)
    for t, name in drops_of(scene.policy, spans):
        if t <= busiest < t + DROP_LASTS_MS:
            return FollowUp("spread_claims" if claims else "spread", name, query=query,
                            policy={f"coupons.{name}.drop": "none"})  # fmt: skip
    return FollowUp("measure", "")


# --- incidents and the desk -------------------------------------------------------------------------------------------
def brake(scene: Scene) -> FollowUp | None:
    """Payments failed: a breaker would have paused the campaigns; where there is one, the incident is left out."""
    incidents = scene.loaded.population.incidents
    if incidents and not scene.policy.breakers:
        return FollowUp("breaker", "", policy={"breakers": f"{{payments_fail: {BREAKER}}}"})
    return mend(scene)


KIND_OF = {"visits_lost": "node_down", "claims_unanswered": "node_down", "pieces_missing": "stock_out",
           "payments_failed": "payments_fail"}  # fmt: skip


def mend(scene: Scene) -> FollowUp | None:
    """What went wrong: how it goes without that."""
    kind = KIND_OF[scene.goal["metric"]]
    name = next((name for name, one in scene.loaded.population.incidents.items() if kind in one.kinds), "")
    return FollowUp("mend", name, population={f"incidents.{name}": "none"}) if name else None


def more_seats(scene: Scene) -> FollowUp | None:
    """People wait too long: half as many seats again."""
    support = scene.loaded.population.support
    if support is None:
        return None
    more = [shift.seats * 3 // 2 + 1 for shift in support.hotline.shifts]
    shifts = [
        f'{{from: "{clock_text(shift.from_)}", until: "{clock_text(shift.until)}", seats: {seats}}}'
        for shift, seats in zip(support.hotline.shifts, more, strict=True)
    ]
    worst = scene.greatest(
        f"SELECT cause FROM contacts WHERE day BETWEEN {quoted(scene.first)} AND {quoted(scene.last)} "
        "GROUP BY cause ORDER BY sum(came - in_time) DESC, cause"
    )
    query = (
        f"SELECT sum(came - in_time) FILTER (WHERE cause = {quoted(worst)}) / nullif(sum(came - in_time), 0) "
        f"FROM contacts WHERE day BETWEEN {quoted(scene.first)} AND {quoted(scene.last)}"
    )
    return FollowUp(
        "more_seats",
        worst,
        f"{sum(more):,} seats",
        query,
        population={"support.hotline.shifts": f"[{', '.join(shifts)}]"},
    )


# --- nothing better ---------------------------------------------------------------------------------------------------
def leave_out(scene: Scene) -> FollowUp | None:
    """No rule knows better: how it goes without the campaign or coupon that customers saw most of."""
    policy, name = scene.policy, scene.whose
    if name not in policy.campaigns and name not in policy.coupons:
        name = scene.greatest(
            f"SELECT campaign FROM cells WHERE {scene.days} GROUP BY campaign ORDER BY sum(exposures) DESC, campaign"
        ) or scene.greatest(
            f"SELECT coupon FROM claims WHERE {scene.days} GROUP BY coupon ORDER BY sum(claims) DESC, coupon"
        )
    if name not in policy.campaigns and name not in policy.coupons:
        return None
    return FollowUp("leave_out", name, without=name)
