"""Each coupon scenario fails when what it is about stops working: one field changed, one expectation red."""

from pathlib import Path

from tests.scenarios.planted import Fault, assert_comparison_sees, assert_run_sees, each

QUICK = {"stampede"}
COUPONS, BUDGETS, CAMPAIGNS = "policy.coupons", "policy.budgets", "policy.campaigns"
SHOP, TOPICS = "population.shop", "population.topics"

FAULTS: list[Fault] = [
    ("stampede", "ten times the stock", {f"{COUPONS}.midnight_100.pieces": "10000"}, "stock_out_hour"),
    ("stampede", "a budget for half of it", {f"{BUDGETS}.midnight.amount": "50000.00"}, "granted"),
    ("stampede", "nobody clicks twice", {f"{SHOP}.claims.double_clicks": "0%"}, "claims_repeated"),
    ("scarce_offer", "enough for everybody", {f"{COUPONS}.midnight_60.pieces": "40000"}, "granted"),
    ("prize_stock", "never ordered again", {f"{COUPONS}.mug.reorder.lead": "60d"}, "granted"),
    ("prize_stock", "no ration", {f"{COUPONS}.mug.ration.pieces": "400"}, "stock_out_hour"),
    ("prize_stock", "nobody delivers", {f"{COUPONS}.mug.reorder": "{at: 150, pieces: 300, lead: 5d, fails: 100%}"},
     "granted"),
    ("prize_stock", "all are collected", {f"{SHOP}.collects": "{share: 100%, after: 1min}"}, "breakage"),
    ("refund_wave", "no refunds", {f"{SHOP}.refunds.share": "0%"}, "refunds"),
    ("refund_wave", "no whole orders", {f"{SHOP}.refunds.whole": "0%"}, "returned_share"),
    ("urgency", "ten times the stock", {f"{COUPONS}.offer.pieces": "10000"}, "granted"),
    ("urgency", "nothing off", {f"{COUPONS}.offer.off": "0.01"}, "redemption_rate"),
    ("first_order", "nothing off", {f"{COUPONS}.first_order_20.off": "0.01"}, "relative_lift"),
    ("first_order", "a threshold out of reach", {f"{COUPONS}.first_order_20.over": "5000.00"}, "relative_lift"),
    ("first_order", "offered to old customers", {f"{CAMPAIGNS}.welcome.audience": "not new"}, "relative_lift"),
    ("repurchase", "after thirty purchases", {f"{CAMPAIGNS}.thank_you.trigger.when": "purchases == 30"}, "exposures"),
    ("repurchase", "nothing off", {f"{COUPONS}.third_time_15.off": "0.01"}, "relative_lift"),
    ("repurchase", "has to be claimed", {f"{CAMPAIGNS}.thank_you.issue": "click"}, "granted"),
    ("winback", "1 % off", {f"{COUPONS}.win_back_30.rate": "1%"}, "relative_lift"),
    ("winback", "wakes the awake", {f"{CAMPAIGNS}.come_back.audience": "not dormant"}, "uptake"),
    ("high_value", "for nobody", {f"{CAMPAIGNS}.big_basket.audience": "valuable and not valuable"}, "exposures"),
    ("one_more_for_points", "asks at log-in", {f"{CAMPAIGNS}.one_more.trigger": "{on: login}"}, "candidates"),
    ("off_season", "members only, for everybody", {f"{COUPONS}.members_25.audience": "purchases >= 0"}, "not_eligible"),
    ("double_eleven", "ten times the stock", {f"{COUPONS}.midnight_500_120.pieces": "5000"}, "granted"),
    ("campaign_reviews", "the follow-up plan was taken up",
     {f"{CAMPAIGNS}.call_back.frequency": "{caps: [{most: 2, per: week}]}"}, "goals_missed"),
    ("campaign_reviews", "a hundred pieces", {f"{COUPONS}.midnight_500_120.pieces": "100"}, "goals_met"),
    ("campaign_reviews", "a countdown nobody sees", {f"{CAMPAIGNS}.countdown.audience": "new and not new"},
     "reach_share"),
    ("campaign_reviews", "no drop", {f"{COUPONS}.midnight_500_120.drop": "none"}, "peak_claims"),
    ("campaign_reviews", "the supplier delivers", {"population.incidents.supplier": "none"}, "pieces_missing"),
    ("campaign_reviews", "the node stays", {"population.incidents.node": "none"}, "visits_lost"),
]  # fmt: skip

COMPARED: list[Fault] = [
    ("double_eleven", "nothing brought forward", {f"{SHOP}.uses.brought_forward": "0%"}, "afterwards"),
    ("double_eleven", "nobody buys for a coupon", {f"{SHOP}.uses.share": "0%"}, "during[everyday_only/payments]"),
    ("off_season", "the general coupon is worth nothing", {f"{COUPONS}.general_15.off": "0.01"}, "discounts"),
    ("basket_threshold", "nothing is added", {f"{SHOP}.adds.lines": "0%"}, "lines_added"),
    ("basket_threshold", "no threshold", {f"{COUPONS}.offer.over": "10.00"}, "basket_difference[nothing]"),
    ("urgency", "both told alike", {f"{SHOP}.urgency.pieces": "{claims: 1.1, sooner: 0.6}"}, "stock_out_difference"),
    ("winback", "1 % off", {f"{COUPONS}.win_back_30.rate": "1%"}, "true_lift"),
    ("one_more_for_points", "nobody cares", {f"{TOPICS}.points.clicks": "0%"}, "true_relative_lift"),
    ("scarce_offer", "enough for everybody", {f"{COUPONS}.midnight_60.pieces": "40000"}, "covered"),
]  # fmt: skip


@each(FAULTS, QUICK)
def test_planted_fault_is_seen(fault: Fault, tmp_path: Path) -> None:
    assert_run_sees(fault, tmp_path)


@each(COMPARED)
def test_planted_fault_is_seen_in_the_comparison(fault: Fault, tmp_path: Path, ray_cluster: None) -> None:
    assert_comparison_sees(fault, tmp_path)
