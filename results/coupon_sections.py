"""The report's tables of coupons and budgets: what was taken off and who pays it, claims and stock, return on cost."""

from dataclasses import replace
from typing import Any

from markupsafe import Markup

from results.coupon_catalogue import GRANTED, MATURE
from results.markup import Column, computed, figure, interval, queried, sentence, source, table, words
from results.metric import offer_of
from results.query import Database
from results.statistics import Estimate
from results.words import ANSWERS, NOTHING, plain

Estimates = dict[str, Estimate]
COST = f"""
WITH taken AS (SELECT coupon, coalesce(sum(discount) FILTER (WHERE since_launch), 0) AS discount,
       sum(granted) FILTER (WHERE phase <> 'before') AS granted,
       sum(redeemed - returned) FILTER (WHERE since_launch) AS redeemed,
       sum(granted - redeemed + returned - expired) AS still_open,
       sum(redeemed - returned) FILTER (WHERE {MATURE}) AS mature_redeemed,
       sum(granted) FILTER (WHERE {MATURE}) AS mature
     FROM cohorts GROUP BY coupon),
     shares AS (SELECT coupon, from_share, payer || CASE WHEN share < 1 THEN printf(' %g %%', 100 * share) ELSE '' END
       AS said FROM payers),
     paying AS (SELECT coupon, string_agg(said, ', ' ORDER BY from_share) AS payers FROM shares GROUP BY coupon)
SELECT coupons.coupon, coalesce(discount, 0) / 100.0 AS discount, payers, coalesce(granted, 0) AS granted,
       coalesce(redeemed, 0) AS redeemed, mature_redeemed::DOUBLE / nullif(mature, 0) AS redemption,
       1 - mature_redeemed::DOUBLE / nullif(mature, 0) AS breakage, coalesce(still_open, 0) AS still_open
FROM coupons LEFT JOIN taken USING (coupon) LEFT JOIN paying USING (coupon) ORDER BY discount DESC, declared"""

SUPPLY = f"""
WITH asked AS (SELECT coupon, sum(claims) AS claims, sum(claims) FILTER (WHERE answer = '{GRANTED}') AS granted,
       sum(claims) FILTER (WHERE answer = 'out_of_stock') AS out_of_stock,
       sum(claims) FILTER (WHERE answer = 'budget') AS over_budget
     FROM claims WHERE phase <> 'before' GROUP BY coupon)
SELECT coupons.coupon, coalesce(claims, 0) AS claims, asked.granted::DOUBLE / nullif(claims, 0) AS claim_rate,
       coalesce(out_of_stock, 0) AS out_of_stock, coalesce(over_budget, 0) AS over_budget, delivered, "left",
       out_after_ms / 3600000.0 AS out_after
FROM coupons LEFT JOIN asked USING (coupon) LEFT JOIN stock USING (coupon) ORDER BY claims DESC, declared"""

REFUSED = f"""
SELECT coupon, answer, sum(claims) AS claims FROM claims
WHERE phase <> 'before' AND answer <> '{GRANTED}' GROUP BY coupon, answer
ORDER BY claims DESC, coupon, answer LIMIT 16"""

BUDGETS = """
SELECT budget, in_force / 100.0 AS in_force, spent / 100.0 AS spent, reserved / 100.0 AS reserved,
       (spent + reserved)::DOUBLE / nullif(in_force, 0) AS used, 1 AS whole, out_after_ms / 3600000.0 AS out_after
FROM budgets ORDER BY used DESC, budget"""


def given(name: str) -> Markup:
    """A name of the policy as words; digits in it are no measurement."""
    return words(plain(name))


# --- in words ---------------------------------------------------------------------------------------------------------
SCALED = """
SELECT sum(discount) / 100.0 / (SELECT customers FROM run) * (SELECT customer_base FROM run)
FROM cohorts WHERE since_launch"""


def money_sentence(database: Database, found: Estimates) -> Markup:
    """What coupons cost, what of it changed nothing, who pays."""
    payers = [key.partition("[")[2][:-1] for key in found if key.startswith("paid_by[")]
    paid = Markup(", ").join(
        sentence("{payer} {amount}", payer=given(payer), amount=figure(f"paid_by[{payer}]", found[f"paid_by[{payer}]"]))
        for payer in payers
    )
    each = replace(found["discounts_per_customer"], unit="yuan each")
    induced = found["induced_discount_share"]
    text = (
        "Coupons took {total} off {redeemed} purchases, {each} for each customer at launch, about {scaled} on a base "
        "of {base} customers: {useful} of it on purchases made for a coupon's sake, {anyway} on purchases that would "
        "have been made anyway."
    )
    if induced.value is None:
        text = "No coupon was redeemed since launch."
    text += " It is paid by: {paid}." if len(payers) > 1 and induced.value is not None else ""
    return sentence(
        text, total=figure("discount_cost", found["discount_cost"]), paid=paid,
        scaled=queried(database, SCALED, "total:2"), base=queried(database, "SELECT customer_base FROM run", "count"),
        redeemed=figure("coupons_redeemed", found["coupons_redeemed"]), each=figure("discounts_per_customer", each),
        useful=figure("induced_discount_share", induced),
        anyway=figure("subsidy_without_effect", found["subsidy_without_effect"]),
    )  # fmt: skip


def open_sentence(found: Estimates) -> Markup:
    """What may still come; nothing where no coupon is open."""
    if not found["coupons_open"].value:
        return Markup("")
    text = "When the run ended {n} coupons were still open; if they go like those that have come to an end they cost "
    text += "{cost} for each customer, which profit counts already."
    return sentence(
        text, n=figure("coupons_open", found["coupons_open"]),
        cost=figure("liability_per_customer", replace(found["liability_per_customer"], unit="yuan each")),
    )  # fmt: skip


def ran_out(database: Database) -> Markup:
    """Which coupons and budgets ran out, and after how long; nothing where none did."""
    parts = []
    for table_name, column, text in (
        ("stock", "coupon", "{name} was gone {after} after claims opened"),
        ("budgets", "budget", "the budget {name} was used up {after} after launch"),
    ):
        rows = database.table(f"SELECT {column} AS name FROM {table_name} WHERE out_at <> '' ORDER BY out_after_ms")
        for row in rows:
            query = f"SELECT max(out_after_ms) / 3600000.0 FROM {table_name} WHERE {column} = '{row['name']}'"
            parts.append(sentence(text, name=given(row["name"]), after=queried(database, query, "hours")))
    if not parts:
        return Markup("")
    return Markup('<p class="caution">Ran out: {}.</p>').format(Markup("; ").join(parts))


# --- tables -----------------------------------------------------------------------------------------------------------
def cost(database: Database) -> Markup:
    """Each coupon: money first."""
    columns = [
        Column("coupon", "coupon", words=given),
        Column("payers", "who pays 出资方", words=words),
        Column("discount", "taken off 优惠成本", "yuan:0", bar=True),
        Column("granted", "granted 领取", "count"),
        Column("redeemed", "redeemed 核销", "count"),
        Column("redemption", "redemption rate 核销率", "percent:1"),
        Column("breakage", "breakage 未核销率", "percent:1"),
        Column("still_open", "still open", "count"),
    ]
    return table(database, COST, ["coupon"], columns, css="bars coupons")


def supply(database: Database) -> Markup:
    """Claims, and what there was to claim."""
    columns = [
        Column("coupon", "coupon", words=given),
        Column("claims", "claims received 领取请求", "count", bar=True),
        Column("claim_rate", "claim rate 领取率", "percent:1"),
        Column("out_of_stock", "refused: out of stock", "count"),
        Column("over_budget", "refused: budget", "count"),
        Column("delivered", "pieces", "count"),
        Column("left", "pieces left", "count"),
        Column("out_after", "sold out after 售罄", "hours"),
    ]
    return table(database, SUPPLY, ["coupon"], columns, css="bars coupons")


def refused(database: Database) -> Markup:
    """Why claims were refused, the most frequent first."""
    if not database.rows(REFUSED):
        return Markup("<p>No claim was refused.</p>")
    columns = [
        Column("coupon", "coupon", words=given),
        Column("answer", "why", words=lambda answer: ANSWERS.get(answer, plain(answer))),
        Column("claims", "claims", "count", bar=True),
    ]
    return table(database, REFUSED, ["coupon", "answer"], columns, css="bars")


def returns(manifest: dict[str, Any], found: Estimates) -> Markup:
    """What each coupon returned by its offer's holdout; those without one are named."""
    rows, queries, without = [], [], []
    for coupon in manifest["coupons"]:
        key, offer = f"roi[{coupon['name']}]", offer_of(manifest, coupon["name"])
        if offer is None:
            without.append(plain(coupon["name"]))
            continue
        estimate = found[key]
        value = Markup('<span class="none">{}</span>').format(estimate.note or NOTHING)
        if estimate.value is not None:
            value = Markup("{}<br>{}").format(figure(key, estimate), interval(key, estimate))
        cells = (given(coupon["name"]), words(plain(offer["name"])), value, computed(key, "n", estimate.n, "count"))
        tag = '<tr><th scope="row">{}</th><td>{}</td><td class="right">{}</td><td class="right">{}</td></tr>'
        rows.append(Markup(tag).format(*cells))
        queries += [estimate.query, estimate.counts_query]
    said = sentence("No holdout tells what these return: {names}.", names=words(", ".join(without))) if without else ""
    note = Markup('<p class="whom">{}</p>').format(said) if said else Markup("")
    if not rows:
        return note
    head = Markup('<th scope="col">coupon</th><th scope="col">offered by</th><th scope="col" class="right">'
                  'return on each yuan 投入产出比</th><th scope="col" class="right">customers</th>')  # fmt: skip
    body = Markup("").join(rows)
    made = Markup('<div class="scroll" tabindex="0"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>')
    return made.format(head, body) + source(*queries) + note


def budgets(database: Database) -> Markup:
    columns = [
        Column("budget", "budget 预算", words=given),
        Column("used", "used 使用率", "percent:1", bar=True, whole="whole"),
        Column("spent", "spent 支出", "yuan:0"),
        Column("reserved", "reserved for open coupons", "yuan:0"),
        Column("in_force", "amount in force", "yuan:0"),
        Column("out_after", "used up after launch by", "hours"),
    ]
    return table(database, BUDGETS, ["budget"], columns, css="bars coupons")
