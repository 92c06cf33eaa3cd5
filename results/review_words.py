"""Reviews in words: phases, what was planned, what a missed goal calls for."""

PHASES = {"warm_up": "Warm-up 预热", "peak": "Peak 高峰", "close": "Close 收尾", "feedback": "Feedback 反馈"}
VERDICTS = {"met": "met 达标", "missed": "missed 未达标", "unknown": "no figure 无数据"}
BADGES = {"met": "holds", "missed": "fails", "unknown": "undecided"}

# By rule: {whose} did it, {share} of it; {to} is what the field becomes.
FOLLOW_UPS = {
    "cap": "{share} of them came of {whose}: show it {to}.",
    "pause": "{share} of them came of {whose}, which cannot be shown less often: take it out.",
    "reach_not_in_audience": "{share} of the candidates of {whose} were not in its audience: open it to {to}.",
    "reach_condition": "For {share} of the candidates of {whose} its condition was not met: show it {to}.",
    "reach_dwell": "{share} of the candidates of {whose} left the page too soon: show it {to}.",
    "reach_lost_arbitration": "{share} of the candidates of {whose} lost their place to other campaigns: give it {to}.",
    "reach_total_cap": "{share} of the candidates of {whose} had reached the cap over all messages: allow {to}.",
    "reach_held_out": "{share} of the candidates of {whose} were held out for measurement: hold out {to}.",
    "reach_out_of_stock": "{share} of the candidates of {whose} found its reward out of stock: order {to}.",
    "more_pieces": "{share} of the claims of {whose} found no piece left: order {to}.",
    "supplier": "{share} of the claims of {whose} found no piece left, for {to} did not deliver: have a back-up "
    "supplier, and see how it goes when all pieces are there.",
    "more_budget": "{share} of the claims were refused because the budget {whose} was used up: make it {to}.",
    "raise_limit": "{share} of the claims of {whose} were over the limit per customer: allow {to}.",
    "open_audience": "{share} of the claims of {whose} came from outside its audience: open it to {to}.",
    "no_more_pieces": "More of {whose} were given out than planned: give out {to}.",
    "fewer_pieces": "{share} of {whose} is left over: order {to}.",
    "lasts_longer": "Too few used {whose} in time: let it last {to}.",
    "lower_threshold": "Too few found {whose} worth their while: lower its threshold to {to}.",
    "stronger": "Too few found {whose} worth their while: take off {to}.",
    "spend_less": "{share} of what the budget paid went through {whose}: give out {to}.",
    "spread": "{share} of the busiest minute were claims of the drop of {whose}: let them come without a drop.",
    "spread_claims": "{share} of the phase's claims came in the minute of the drop of {whose}: let them come without "
    "a drop.",
    "measure": "No drop stands in that minute: see what this machine decides in a second, and plan by that.",
    "breaker": "No breaker watches payments: let one pause the campaigns while they fail.",
    "mend": "It came of the incident {whose}: see how it goes without it, and what a stand-by would be worth.",
    "more_seats": "{share} of those who waited too long asked about {whose}: have {to} on the hotline.",
    "leave_out": "Customers saw most of {whose}: see how it goes without it.",
}
INCIDENTS = {
    "payments_fail": "payments failed 支付失败", "complain": "messages resented 投诉潮",
    "get_in_touch": "everybody asked 咨询潮", "stock_out": "pieces missing 缺货",
    "node_down": "a node was away 节点失联",
}  # fmt: skip


def incident(kinds: str) -> str:
    return ", ".join(INCIDENTS.get(kind, kind) for kind in kinds.split(", "))
