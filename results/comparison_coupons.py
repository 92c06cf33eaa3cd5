"""What a comparison's report says of coupons: their cost in the first sentence, each one under each policy."""

from markupsafe import Markup

from results.comparison_marks import Findings, rough
from results.markup import Column, queried, sentence, table, words
from results.query import quoted
from results.words import people, plain


def cost_differs(opened: Findings, rival: str) -> Markup:
    """By how much discounts change, where that is beyond doubt."""
    key = f"{rival}/discounts"
    difference = opened.found.get(f"difference[{key}]")
    if difference is None or difference.low is None or difference.high is None or not difference.value:
        return Markup("")
    if difference.low <= 0 <= difference.high:
        return Markup("")
    share = f"relative_difference[{key}]"
    if opened.found[share].value is None:
        return Markup("it gives discounts where there were none")
    return sentence("discounts {share}", share=rough(share, opened.found[share]))


def expected_cost(opened: Findings, policies: list[str]) -> Markup:
    """What coupons take off on the customer base, under each policy; that there are none where there are none."""
    base = opened.manifest["customer_base"]
    said = []
    for policy in policies:
        rows = f"FROM levels WHERE policy = {quoted(policy)} AND of = '' AND measure = 'discounts'"
        query = f"SELECT sum(total) / sum(n) / 100.0 * {base} {rows}"
        if opened.database.value(query):
            amount = queried(opened.database, query, "total:2")
            said.append(sentence("about {amount} under {policy}", amount=amount, policy=words(policy)))
    if not said:
        return Markup(NO_COUPONS)
    text = "coupons take off {said}, on {base} customers in {days} days"
    return sentence(text, said=Markup(", ").join(said), base=words(people(base)), days=words(str(opened.days)))


NO_COUPONS = "No coupons in these policies."


def by_coupon(opened: Findings) -> Markup:
    """What became of each coupon under each policy; nothing where none has coupons."""
    policies = ", ".join(quoted(name) for name in (opened.reference, *opened.rivals))
    per = "1000.0 * sum({0}) / (SELECT sum(customers) FROM lives WHERE lives.policy = by_coupon.policy) AS {0}"
    counted = ", ".join(per.format(name) for name in ("granted", "redeemed", "out_of_stock", "over_budget"))
    sql = f"""
SELECT coupon, policy, 10.0 * sum(discount)
         / (SELECT sum(customers) FROM lives WHERE lives.policy = by_coupon.policy) AS discount, {counted}
FROM by_coupon WHERE policy IN ({policies}) GROUP BY coupon, policy
HAVING sum(granted) > 0 OR sum(refused) > 0 ORDER BY coupon, list_position([{policies}], policy)"""
    if not opened.database.rows(sql):
        return Markup("")
    columns = [
        Column("coupon", "coupon", words=lambda name: words(plain(name))),
        Column("policy", "policy", words=words),
        Column("discount", "taken off 优惠成本", "yuan:0"),
        Column("granted", "granted 领取", "number:1"),
        Column("redeemed", "redeemed 核销", "number:1"),
        Column("out_of_stock", "refused: out of stock", "number:1"),
        Column("over_budget", "refused: budget", "number:1"),
    ]
    return table(opened.database, sql, ["coupon", "policy"], columns)
