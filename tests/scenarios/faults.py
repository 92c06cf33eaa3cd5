"""What each scenario of the library must notice: a row a fault, and the expectation that it turns red."""

# The scenario, what is broken, the fields that break it, and what the expectation speaks of that must not hold.
Fault = tuple[str, str, dict[str, str], str]

COUPONS, BUDGETS, CAMPAIGNS = "policy.coupons", "policy.budgets", "policy.campaigns"
SHOP, TOPICS = "population.shop", "population.topics"
CREWS, RULES = "population.adversaries.crews", "policy.fraud.rules"
TRIPS_AT = "policy.breakers.payments_fail.above"
NO_RULES = {"policy.fraud": "none"}
SUPPORT, RESENTED = "population.support", "policy.breakers.resented"

IN_A_RUN: list[Fault] = [
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
    ("account_ring", "no rules", NO_RULES, "fraud_obtained"),
    ("account_ring", "nobody comes", {CREWS: "{account_ring: {accounts: 1, budget: 1.00}}"}, "fraud_refused"),
    ("many_accounts", "no rules", NO_RULES, "fraud_obtained"),
    ("ip_rotation", "no rules", NO_RULES, "fraud_obtained"),
    ("threshold_probers", "no rules", NO_RULES, "fraud_obtained"),
    ("slow_accounts", "no rules", NO_RULES, "fraud_obtained"),
    ("scalpers", "no rules", NO_RULES, "fraud_obtained"),
    ("referral_farm", "nobody comes", {CREWS: "{referral_farm: {accounts: 1, budget: 1.00}}"},
     "fired_on_fraud"),
    ("bots", "nobody comes", {CREWS: "{bot: {accounts: 1, budget: 1.00}}"}, "fired_on_fraud"),
    ("payment_outage", "the breaker never trips", {TRIPS_AT: "99%"}, "spent_while_failing"),
    ("look_alikes", "three accounts a device", {f"{RULES}.accounts_per_device.more_than": "3"}, "good_harmed"),
    ("look_alikes", "every newcomer proves it", {f"{RULES}.newcomers_claims.more_than": "0"}, "good_challenged"),
    ("complaint_storm", "a third of the seats", {f"{SUPPORT}.hotline.shifts": "[{seats: 10}]"},
     "first_answers_in_time"),
    ("complaint_storm", "nobody on the night shift",
     {f"{SUPPORT}.hotline.shifts": '[{from: "08:00", until: "21:00", seats: 31}]'},
     "first_answers_in_time"),
    ("complaint_storm", "calls take twice as long", {f"{SUPPORT}.hotline.takes": "10min"}, "seats_needed"),
    ("complaint_storm", "everybody asks", {"population.incidents.storm.get_in_touch": "100%"}, "seats_needed"),
    ("complaint_storm", "no video seats to speak of",
     {f"{SUPPORT}.video": '{share: 90%, shifts: [{seats: 1}]}'}, "seats_needed"),
    ("complaint_storm", "the bot helps half", {f"{SUPPORT}.bot.helps": "50%"}, "closed_by_bot"),
    ("complaint_storm", "nobody resents a message", {"population.incidents.storm.complain": "0%"}, "breaker_trips"),
    ("complaint_storm", "a breaker that looks back an hour", {f"{RESENTED}.window": "1h"}, "minutes_to_trip"),
]  # fmt: skip

IN_A_COMPARISON: list[Fault] = [
    ("double_eleven", "nothing brought forward", {f"{SHOP}.uses.brought_forward": "0%"}, "afterwards"),
    ("double_eleven", "nobody buys for a coupon", {f"{SHOP}.uses.share": "0%"}, "during[everyday_only/payments]"),
    ("off_season", "the general coupon is worth nothing", {f"{COUPONS}.general_15.off": "0.01"}, "discounts"),
    ("basket_threshold", "nothing is added", {f"{SHOP}.adds.lines": "0%"}, "lines_added"),
    ("basket_threshold", "no threshold", {f"{COUPONS}.offer.over": "10.00"}, "basket_difference[nothing]"),
    ("urgency", "both told alike", {f"{SHOP}.urgency.pieces": "{claims: 1.1, sooner: 0.6}"}, "stock_out_difference"),
    ("winback", "1 % off", {f"{COUPONS}.win_back_30.rate": "1%"}, "true_lift"),
    ("one_more_for_points", "nobody cares", {f"{TOPICS}.points.clicks": "0%"}, "true_relative_lift"),
    ("scarce_offer", "enough for everybody", {f"{COUPONS}.midnight_60.pieces": "40000"}, "covered"),
    ("account_ring", "nobody comes", {CREWS: "{account_ring: {accounts: 1, budget: 1.00}}"}, "fraud_money"),
    ("many_accounts", "nothing but the core", {"policy.fraud": "{include: core, appeal: Help}"}, "fraud_harmed"),
    ("ip_rotation", "every challenge is solved", {"population.adversaries.solves": "100%"}, "fraud_stopped"),
    ("look_alikes", "forty customers a tablet", {"population.origins.groups.shared_tablet.people": "40"},
     "fraud_harmed[fraud_shop/shared_tablet]"),
]  # fmt: skip
