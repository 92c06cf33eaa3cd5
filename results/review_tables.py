"""The tables of a review: before and after, capacity, complaints by cause, stock and budgets, what went wrong."""

from markupsafe import Markup

from results.markup import Column, table, words
from results.query import Database, quoted
from results.review_pictures import BY_DAY, MEASURES, Days
from results.review_words import incident
from results.words import claim_answer, plain

CAUSES = {
    "complaint": "about a message 投诉", "payment_failed": "a payment failed 支付失败",
    "claim_refused": "a coupon was not to be had 领取失败", "denied": "an appeal 申诉",
    "incident": "about an incident 突发事件",
}  # fmt: skip
TROUBLES = {
    "payments_failed": "payments that an incident made fail 支付失败",
    "visits_lost": "visits lost: the node was away 访问流失",
    "claims_unanswered": "claims without an answer: the node was away 领取未应答",
    "lost_payments": "payments lost, for want of balance or by an incident 支付流失",
}


def name(text: str) -> Markup:
    """A name of the policy as words."""
    return words(plain(text))


def within(days: Days, column: str = "date") -> str:
    return f"{column} BETWEEN {quoted(days[0])} AND {quoted(days[1])}"


def up_to(days: Days) -> str:
    return f"date <= {quoted(days[1])}"


# --- before and after -------------------------------------------------------------------------------------------------
def changes(database: Database, days: Days) -> Markup:
    """The mean day before launch, and that of the phase."""
    measured = " UNION ALL ".join(
        f"SELECT {at} AS place, {quoted(title.replace(' and day', ', a day'))} AS measure, "
        f"avg({column}) FILTER (WHERE phase = 'before') AS earlier, avg({column}) FILTER (WHERE {within(days)}) AS now "
        "FROM days"
        for at, (column, title) in enumerate(MEASURES.items())
    )
    sql = f"""
WITH days AS ({BY_DAY.strip()}), measured AS ({measured})
SELECT measure, earlier, now, now / nullif(earlier, 0) - 1 AS change FROM measured
WHERE earlier > 0 OR now > 0 ORDER BY place"""
    columns = [
        Column("measure", "on an average day 日均", words=words),
        Column("earlier", "before launch 上线前", "number:1"),
        Column("now", "in this phase 本阶段", "number:1"),
        Column("change", "change 变化", "+percent:0"),
    ]
    return table(database, sql, ["measure"], columns)


# --- capacity ---------------------------------------------------------------------------------------------------------
def capacity(database: Database, review: str, days: Days) -> Markup:
    """Planned, and the busiest minute and ten minutes, all on the customer base."""
    scale = "(SELECT customer_base::DOUBLE / customers FROM run)"
    busy = f"FROM traffic WHERE {within(days)}"
    parts = " UNION ALL ".join(
        f"SELECT '{what}' AS what, (SELECT any_value(planned) FROM review_plans WHERE review = {quoted(review)} "
        f"AND plan = 'capacity' AND whose = '{what}') AS planned, "
        f"(SELECT max({what}) * {scale} {busy}) AS minute, "
        f"(SELECT arg_max(strftime(date, '%Y-%m-%d') || ' ' || clock, {what}) {busy}) AS peaked, "
        f"(SELECT max(ten) FROM (SELECT sum({what}) * {scale} / 10 AS ten {busy} GROUP BY time_ms // 600000)) AS ten"
        for what in ("decisions", "claims")
    )
    sql = f"SELECT what, planned, minute, minute / planned AS used, peaked, ten FROM ({parts}) WHERE minute > 0"
    named = {"decisions": "decisions a minute 每分钟决策", "claims": "claims a minute 每分钟领取"}
    columns = [
        Column("what", "capacity 容量", words=lambda what: named[what]),
        Column("planned", "planned 计划", "count"),
        Column("minute", "busiest minute 峰值", "count"),
        Column("used", "of the plan 占比", "percent:0"),
        Column("peaked", "when 时间", words=words),
        Column("ten", "a minute of the busiest ten 峰值十分钟", "count"),
    ]
    return table(database, sql, ["what"], columns)


# --- complaints and troubles ------------------------------------------------------------------------------------------
def complaints(database: Database, days: Days) -> Markup:
    """By campaign and what it is about, the most first."""
    sql = f"""
WITH told AS (SELECT campaign, sum(complaints) AS complaints FROM cells WHERE {within(days)} GROUP BY campaign)
SELECT campaign, topic, complaints, complaints / sum(complaints) OVER () AS share,
       10000.0 * complaints / (SELECT max(launched) FROM population) AS rate
FROM told JOIN campaigns USING (campaign) WHERE complaints > 0 ORDER BY complaints DESC, campaign"""
    if not database.rows(sql):
        return Markup("<p>Nobody complained about a message.</p>")
    columns = [
        Column("campaign", "campaign 活动", words=name),
        Column("topic", "about 主题", words=name),
        Column("complaints", "complaints 客诉", "count", bar=True),
        Column("share", "share 占比", "percent:0"),
        Column("rate", "per ten thousand customers 万人客诉", "number:1"),
    ]
    return table(database, sql, ["campaign"], columns, css="bars")


def contacts(database: Database, days: Days) -> Markup:
    """Who got in touch with the support desk, by cause; nothing without a desk."""
    if not (database.tables / "contacts.parquet").exists():
        return Markup("")
    sql = f"""
SELECT cause, sum(came) AS came, sum(in_time) / sum(came) AS in_time, sum(gave_up) / sum(came) AS gave_up
FROM contacts WHERE {within(days, "day")} GROUP BY cause HAVING sum(came) > 0 ORDER BY came DESC, cause"""
    columns = [
        Column("cause", "cause 原因", words=lambda cause: CAUSES.get(cause, plain(cause))),
        Column("came", "contacts 进线", "count", bar=True),
        Column("in_time", "first answer in time 首响及时率", "percent:1"),
        Column("gave_up", "gave up 放弃", "percent:1"),
    ]
    return table(database, sql, ["cause"], columns, css="bars")


def troubles(database: Database, days: Days) -> Markup:
    """What else customers met: payments and visits that came to nothing, claims refused and why."""
    counted = " UNION ALL ".join(
        f"SELECT {quoted(column)} AS trouble, sum({column}) AS times FROM population WHERE {within(days)}"
        for column in TROUBLES
    )
    sql = f"""
WITH met AS ({counted} UNION ALL SELECT answer AS trouble, sum(claims) AS times FROM claims
  WHERE {within(days)} AND answer <> 'granted' GROUP BY answer)
SELECT trouble, times FROM met WHERE times > 0 ORDER BY times DESC, trouble"""
    if not database.rows(sql):
        return Markup("")
    columns = [
        Column("trouble", "trouble 问题", words=trouble_words),
        Column("times", "times 次数", "count", bar=True),
    ]
    return table(database, sql, ["trouble"], columns, css="bars")


def trouble_words(trouble: str) -> str:
    return TROUBLES.get(trouble) or f"claim refused 领取失败: {claim_answer(trouble)}"


# --- stock and budgets ------------------------------------------------------------------------------------------------
def stock(database: Database, days: Days) -> Markup:
    """Each coupon and prize at the end of the phase; nothing without coupons."""
    sql = f"""
WITH evening AS (SELECT coupon, arg_max(delivered, date) AS delivered, arg_max("left", date) AS "left"
       FROM stock_days WHERE {up_to(days)} GROUP BY coupon),
     asked AS (SELECT coupon, sum(claims) FILTER (WHERE answer = 'granted') AS granted,
       sum(claims) FILTER (WHERE answer = 'out_of_stock') AS missed FROM claims WHERE {within(days)} GROUP BY coupon)
SELECT coupons.coupon, evening.delivered, coalesce(asked.granted, 0) AS granted, coalesce(missed, 0) AS missed,
       evening."left", evening."left" / nullif(evening.delivered, 0) AS share,
       CASE WHEN out_at <> '' AND out_at[:10] <= {quoted(days[1])} THEN out_at END AS out_at
FROM coupons LEFT JOIN evening USING (coupon) LEFT JOIN asked USING (coupon) LEFT JOIN stock USING (coupon)
ORDER BY declared"""
    if not database.rows(sql):
        return Markup("")
    columns = [
        Column("coupon", "coupon or prize 券与奖品", words=name),
        Column("delivered", "pieces 总量", "count"),
        Column("granted", "granted in this phase 本阶段领取", "count"),
        Column("missed", "found none left 因缺货未得", "count"),
        Column("left", "left at the end 剩余", "count"),
        Column("share", "of all 占比", "percent:0"),
        Column("out_at", "ran out 售罄时间", words=words),
    ]
    return table(database, sql, ["coupon"], columns, css="coupons")


def budgets(database: Database, days: Days) -> Markup:
    """Each budget at the end of the phase; nothing without budgets."""
    sql = f"""
WITH evening AS (SELECT budget, arg_max(in_force, date) / 100.0 AS in_force, arg_max(spent, date) / 100.0 AS spent,
       arg_max(reserved, date) / 100.0 AS reserved FROM budget_days WHERE {up_to(days)} GROUP BY budget)
SELECT budget, (spent + reserved) / nullif(in_force, 0) AS used, 1 AS whole, spent, reserved, in_force FROM evening
ORDER BY used DESC, budget"""
    if not database.rows(sql):
        return Markup("")
    columns = [
        Column("budget", "budget 预算", words=name),
        Column("used", "used 使用率", "percent:1", bar=True, whole="whole"),
        Column("spent", "spent 支出", "yuan:0"),
        Column("reserved", "reserved for open coupons 预留", "yuan:0"),
        Column("in_force", "in force 额度", "yuan:0"),
    ]
    return table(database, sql, ["budget"], columns, css="bars")


def incidents(database: Database, days: Days) -> Markup:
    """What went wrong in the phase; nothing where nothing did."""
    sql = f"""
SELECT incident, kind, began_at, (ends_ms - begins_ms) / 3600000.0 AS lasted,
       CASE WHEN kind LIKE '%node_down%' THEN customers END AS customers, nullif(pieces, 0) AS pieces,
       nullif(fails, 0) AS fails
FROM incidents WHERE {within(days, "began_at[:10]")} ORDER BY begins_ms, incident"""
    if not database.rows(sql):
        return Markup("")
    columns = [
        Column("incident", "incident 事件", words=name),
        Column("kind", "what 类型", words=incident),
        Column("began_at", "from 开始", words=words),
        Column("lasted", "lasted 时长", "hours"),
        Column("customers", "customers away 失联客户", "count"),
        Column("pieces", "pieces missing 缺货张数", "count"),
        Column("fails", "payments failed 支付失败率", "percent:0"),
    ]
    return table(database, sql, ["incident"], columns)
