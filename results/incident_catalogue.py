"""The metrics of incidents: what customers met while payments failed, a node was away, or pieces were not there."""

from results.metric import Metric


def _met(name: str, english: str, chinese: str, meaning: str) -> Metric:
    """A daily count of the population, of the same name."""
    return Metric(
        name, english, chinese, "count", f"sum({name})", "1", meaning, "count", "population", unit_of_analysis="event"
    )


INCIDENT_METRICS = (
    _met("payments_failed", "payments that an incident made fail", "故障失败支付笔数",
         "Payments tried while an incident made a share of them fail, and that failed."),
    _met("visits_lost", "visits lost", "故障流失访问次数",
         "Visits that did not begin, or broke off, because the customer's node was away."),
    _met("claims_unanswered", "claims without an answer", "故障未应答领取次数",
         "Claims that met no answer because the customer's node was away; each was sent again until it was answered."),
    Metric(
        "pieces_missing", "pieces missing", "缺货张数", "count", "sum(pieces)", "1",
        "Pieces of coupons that were not there while an incident lasted.", "count", "incidents",
        unit_of_analysis="coupon", where="true",
    ),
)  # fmt: skip
