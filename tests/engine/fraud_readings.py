"""The numbers of docs/readings.md "Fraud" as stories: title, the rules that are on, what happens and what is said.

at: since 0:00 of a Wednesday. `settle`: the Ledger settles, replies are applied. `people` decide then.
Of an answer: rule, fired. Of the last settlement: `ann:0` what she was told of claim 0, `mark:ann:rule` until when.
"""

from typing import Any

ORDERS = {"count": ["order"], "per": "customer", "within": "day", "more_than": 1, "answer": "deny"}
BY_DEVICE = {"count": ["claim"], "per": "device", "within": "1min", "more_than": 1, "answer": "deny"}
ANY_CLAIM = {"count": ["claim"], "per": "device", "more_than": 0}
CHECK_INS = {"count": ["check_in"], "per": "device", "within": "1h", "more_than": 1, "answer": "deny"}
GIFTS = {"count": ["transfer"], "per": "receiver", "more_than": 0}
ONE_CHECK_IN = {"count": ["check_in"], "per": "device", "more_than": 0, "answer": "deny"}

STORIES: list[tuple[str, dict[str, Any], str]] = [
    ("2 what is off does not fire", {"orders": ORDERS | {"mode": "off"}}, """
9h               ann order 1 1.00x1               DONE
9h               ann order 2 1.00x1               DONE        fired=- rule=-
"""),
    ("2 a shadow fires and answers nothing", {
        "orders": ORDERS | {"mode": "shadow"}, "device": BY_DEVICE | {"mode": "shadow"}}, """
9h               ann order 1 1.00x1               DONE        fired=-
9h               ann order 2 1.00x1               DONE        fired=orders rule=-
9h               ann claim stamp dev:1            PENDING
9h               ann claim stamp dev:1            PENDING
9h+1s            settle  ann:1=DONE ann:1.fired=device ann:1.rule=-
"""),
    ("3 a calendar day; what the shard refuses counts, too", {"claims_a_day": {"more_than": 2}}, """
9h               ann claim nothing                NOT_OPEN    fired=-
9h               ann claim stamp                  PENDING     fired=-
9h               ann claim stamp                  PENDING     fired=claims_a_day rule=claims_a_day
9h               bob claim stamp                  PENDING     fired=-
9h+1s            settle  ann:0=DONE ann:1=DENIED ann:1.rule=claims_a_day
24h-1ms          ann claim stamp                  PENDING     fired=claims_a_day
24h              ann claim stamp                  PENDING     fired=-
"""),
    ("3 (t - w, t]: an event exactly w old is out", {"device": BY_DEVICE}, """
9h               ann claim stamp dev:1            PENDING
9h+1min-1ms      bob claim stamp dev:1            PENDING
9h+1min          kid page_view
9h+1min+1s       settle  ann:0=DONE bob:0=DENIED
9h+2min-1ms      ann claim stamp dev:1            PENDING
9h+2min          settle  ann:1=DONE
"""),
    ("3 … in the shard", {"orders": ORDERS | {"within": "1min"}}, """
9h               ann order 1 1.00x1               DONE
9h+1min          ann order 2 1.00x1               DONE        fired=-
9h+2min-1ms      ann order 3 1.00x1               DENIED      rule=orders
9h+3min-1ms      ann order 4 1.00x1               DONE  # what was refused has left as well
"""),
    ("3 different values", {"devices_per_customer": {"more_than": 1}}, """
9h               ann page_view dev:1
9h               ann page_view dev:1
9h               ann page_view
9h               ann order 1 1.00x1               DONE        fired=-
9h+1s            ann page_view dev:2
9h+1s            ann order 2 1.00x1               CHALLENGED  rule=devices_per_customer
9h+5min-1ms      ann order 2 1.00x1               CHALLENGED
9h+5min          ann order 2 1.00x1               DONE        fired=-
"""),
    ("3 a late event is neither counted nor judged", {"failed_logins": {"more_than": 1}}, """
9h               ann login_failed
9h+1s            ann page_view
9h+1s-1ms        ann login_failed
9h+1s            ann order 1 1.00x1               DONE        fired=-
9h+2s            ann login_failed
9h+2s            ann order 2 1.00x1               CHALLENGED  rule=failed_logins
9h+2s-1ms        ann order 2 1.00x1               DONE        fired=-
"""),
    ("3 once per id, after the test of ids", {"orders": ORDERS}, """
9h               ann order 1 1.00x1 id 5          DONE
9h               ann order 1 1.00x1 id 5          DONE        fired=-
9h               ann order 2 1.00x1 id 5          ID_REUSED   fired=-
9h               ann order 2 1.00x1 id 6          DENIED      rule=orders fired=orders
9h               ann order 2 1.00x1 id 6          DENIED      rule=- fired=-
"""),
    ("3 what waits has not happened", {"orders": ORDERS}, """
9h               ann claim stamp                  PENDING
9h               ann order 1 1.00x1               WAITS
9h               ann order 1 1.00x1               WAITS
9h+1s            settle
9h+1s            ann order 1 1.00x1               DONE        fired=-
9h+1s            ann order 2 1.00x1               DENIED
"""),
    ("3 … sent again at its own time it is not late for that", {"orders": ORDERS}, """
9h               ann claim stamp                  PENDING
9h               ann order 1 1.00x1               WAITS
9h+1ms           ann order 2 1.00x1               WAITS
9h+1s            settle
9h               ann order 1 1.00x1               DONE        fired=-
9h+1ms           ann order 2 1.00x1               DENIED      rule=orders
9h               ann order 2 1.00x1               DONE        fired=-  # she did something since: late
"""),
    ("3 granted: the claim at hand is in, and stays if it is granted", {"claims_per_campaign": {}}, """
9h               ann claim once from:hello        PENDING
9h               bob claim once from:hello        PENDING
9h+1s            settle
9h+1s            ann claim stamp from:hello       PENDING
9h+1s            ann claim stamp                  PENDING
9h+1s            bob claim stamp from:hello       PENDING
9h+2s            bob claim stamp from:hello       PENDING
9h+3s            settle  ann:1=DENIED ann:1.rule=claims_per_campaign ann:2=DONE bob:2=DENIED
"""),
    ("3 a where that does not hold", {"here": ORDERS | {"where": "city == wuhan", "more_than": 0}}, """
9h               ann order 1 1.00x1 city:xian     DONE        fired=-
9h               ann order 2 1.00x1 city:wuhan    DENIED      rule=here
9h               ann order 2 1.00x1 city:xian     DONE        fired=-
"""),
    ("4 one that counts other kinds, too, judges what it does not count", {
        "here": ORDERS | {"count": ["check_in", "order"], "where": "city == wuhan", "more_than": 0}}, """
9h               ann order 1 1.00x1 city:xian     DONE        fired=-
9h               ann check_in city:wuhan
9h               ann order 2 1.00x1 city:xian     DENIED      rule=here
9h               ann claim stamp                  PENDING     fired=here
9h+1s            settle
24h              ann order 2 1.00x1 city:xian     DONE        fired=-
"""),
    ("4 facts are those before the event", {"first": {"count": ["payment"], "where": "not card_used", "per": "customer",
                                                      "more_than": 0, "answer": "review"}}, """
9h               ann order 1 1.00x1               DONE
9h               ann pay 1                        DONE        fired=first
9h               ann order 2 1.00x1               DONE
9h               ann pay 2                        DONE        fired=-
"""),
    ("4 an ask without the key", {"device": BY_DEVICE | {"more_than": 0}}, """
9h               ann claim stamp                  PENDING
9h               ann claim stamp dev:1            PENDING
9h+1s            settle  ann:0=DONE ann:0.fired=- ann:1=DENIED
"""),
    ("4 judges names fewer", {"failed_logins": {"more_than": 0, "judges": ["payment"]}}, """
9h               ann login_failed
9h               ann order 1 1.00x1               DONE        fired=-
9h               ann pay 1                        CHALLENGED  rule=failed_logins
"""),
    ("4 a claim by an exposure", {"device": BY_DEVICE | {"more_than": 0}, "script_user_agent": {}}, """
9h               ann login dev:1                              ann#0=PENDING
9h               bob login agent:script                       bob#0=PENDING
9h+1s            settle  ann:0=DENIED ann:0.rule=device bob:0=DENIED bob:0.rule=script_user_agent
"""),
    ("5 a pass is for one ask", {"failed_logins": {"more_than": 1, "within": "1h"}}, """
9h               ann pass failed_logins
9h               ann login_failed
9h               ann order 1 1.00x1               DONE  # would have answered nothing: not used up
9h               ann login_failed
9h+1s            ann order 2 1.00x1               DONE        fired=failed_logins rule=-
9h+1s            ann order 3 1.00x1               CHALLENGED  rule=failed_logins
9h+2s            ann pass failed_logins
9h+10min+2s-1ms  ann order 3 1.00x1               DONE        rule=-
9h+11min         ann pass failed_logins
9h+21min         ann order 4 1.00x1               CHALLENGED  # [passed, passed + 10 min)
"""),
    ("5 no pass of a rule that denies", {"orders": ORDERS | {"more_than": 0}}, """
9h               ann pass orders
9h               ann order 1 1.00x1               DENIED
"""),
    ("5 passes in turn", {"failed_logins": {"more_than": 0}, "check_ins": CHECK_INS | {
        "per": "customer", "more_than": 0, "answer": "challenge"}}, """
9h               ann login_failed
9h               ann check_in
9h               ann pass failed_logins
9h               ann order 1 1.00x1               CHALLENGED  fired=failed_logins+check_ins
9h               ann pass check_ins
9h               ann pass failed_logins
9h               ann order 1 1.00x1               DONE        fired=failed_logins+check_ins rule=-
9h               ann order 2 1.00x1               CHALLENGED
"""),
    ("5 a pass of the Ledger's rule goes with the claim", {"claims_per_device": {"more_than": 1}}, """
9h               ann claim stamp dev:1            PENDING
9h               ann claim stamp dev:1            PENDING
9h+1s            settle  ann:1=CHALLENGED ann:1.rule=claims_per_device
9h+2s            ann pass claims_per_device
9h+2s            ann claim stamp dev:1            PENDING
9h+2s            ann claim stamp dev:1            PENDING
9h+3s            settle  ann:2=DONE ann:2.fired=claims_per_device ann:2.rule=- ann:3=CHALLENGED
"""),
    ("5 a mark is the customer's, until its end", {"ordering_customers_per_device": {}}, """
9h               ann order 1 1.00x1 dev:1         DONE
9h+1min          bob order 1 1.00x1 dev:1         DONE
9h+2min          settle  mark:bob:ordering_customers_per_device=9h+30min mark:ann:ordering_customers_per_device=-
9h+2min          ann order 2 1.00x1               DONE        fired=-
9h+30min-1ms     bob order 2 1.00x1               CHALLENGED  rule=ordering_customers_per_device
9h+30min         bob order 2 1.00x1               DONE        fired=-
"""),
    ("5 a mark answers claims", {"failed_logins_per_ip": {"more_than": 1}}, """
9h               ann login_failed ip:1
9h               bob login_failed ip:1
9h+1s            settle  mark:bob:failed_logins_per_ip=9h+10min
9h+1s            bob claim stamp ip:2             PENDING     fired=failed_logins_per_ip rule=failed_logins_per_ip
9h+1s            ann claim stamp ip:2             PENDING     fired=-
9h+1s            ann claim stamp ip:1             PENDING     fired=-
9h+2s            settle  bob:0=CHALLENGED ann:0=DONE ann:1=CHALLENGED ann:1.rule=failed_logins_per_ip
"""),
    ("6 the strongest answers; of equals one, all are told", {
        "young_account": {"within": "3660d", "worth": "1.00"}, "claims_a_day": {"more_than": 0},
        "failed_logins": {"more_than": 0, "answer": "review", "mode": "shadow"}}, """
9h               ann login_failed
9h               ann claim stamp  PENDING  rule=claims_a_day fired=young_account+claims_a_day+failed_logins
9h+1s            settle  ann:0=DENIED ann:0.fired=young_account+claims_a_day+failed_logins
"""),
    ("6 review and weaker let an order be", {"orders": ORDERS | {"more_than": 0, "answer": "review"}}, """
9h               ann order 1 1.00x1               DONE        rule=orders fired=orders
"""),
    ("6 what is denied counts for nothing", {"payments": ORDERS | {"count": ["payment"], "more_than": 0}}, """
9h               ann order 1 1.00x1               DONE
9h               ann pay 1                        DENIED      paid=0.00
9h               ann cancel 1                     DONE
"""),
    ("6 LIMIT comes before the Ledger; the attempt is counted there", {"device": BY_DEVICE | {"more_than": 2}}, """
9h               ann claim daily dev:1            PENDING
9h+1s            ann claim daily dev:1            LIMIT
9h+2s            bob claim stamp dev:1            PENDING
9h+3s            settle  ann:0=DONE bob:0=DENIED
"""),
    ("7 a review holds piece and cost; a person grants", {"any": ANY_CLAIM | {"answer": "review"}}, """
9h               ann claim once dev:1             PENDING
9h               ann claim ten dev:1 id 4         PENDING
9h+1s            settle  ann:0=IN_REVIEW ann:1=IN_REVIEW stock:once=0 reserved=10.00 ann#0=PENDING
9h+1s            ann claim ten dev:1 id 4         IN_REVIEW
9h+2s            ann checkout 100.00x1            DONE        discount=0.00
9h+2s            people allow ann 0
9h+2s            people deny ann 1
9h+3s            settle  ann:0=DONE ann:1=DENIED stock:once=0 reserved=0.00 ann#0=AVAILABLE
9h+4s            ann claim ten dev:1 id 4         DENIED
9h+4s            people allow ann 1
9h+5s            settle  people=LAPSED
"""),
    ("7 nobody decided for 24 h: it is granted", {"any": ANY_CLAIM | {"answer": "review"}}, """
9h               ann claim stamp dev:1            PENDING
9h               ann claim mug dev:1              PENDING
9h+1s            settle  ann:0=IN_REVIEW ann:1=IN_REVIEW stock:mug=0
33h-1ms          settle  ann#0=PENDING
33h              settle  ann:0=DONE ann:1=DONE stock:mug=0
33h+20min        settle  stock:mug=1  # its time began when it was granted
"""),
    ("7 in review it may be out of stock", {"any": ANY_CLAIM | {"answer": "review"}}, """
9h               ann claim once dev:1             PENDING
9h+1s            bob claim once dev:1             PENDING
9h+2s            settle  ann:0=IN_REVIEW bob:0=OUT_OF_STOCK
"""),
    ("7 weaker: the fallback, or nothing", {"any": ANY_CLAIM | {"answer": "weaker"}}, """
9h               ann claim big dev:1              PENDING
9h               ann claim lounge dev:1           PENDING
9h               ann claim mug dev:1              PENDING
9h+1s            settle  ann:0=FALLBACK ann:0.rule=any ann:1=DENIED ann:2=DENIED
"""),
    ("7 a transfer in review", {"gifts": GIFTS | {"answer": "review"}}, """
9h               ann claim ten                    PENDING
9h               ann claim ten                    PENDING
9h+1s            settle
9h+1s            ann give 0 bob                   PENDING
9h+2s            settle  ann:0=IN_REVIEW ann#0=MOVING
9h+2s            ann give 1 bob                   PENDING
9h+2s            people allow ann 0
9h+3s            settle  ann:1=IN_REVIEW bob:0=DONE bob#0=AVAILABLE
9h+3s            people deny ann 1
9h+4s            settle  ann:0=DONE ann#0=MOVED ann:1=DENIED ann#1=AVAILABLE
"""),
    ("7 a transfer is refused", {"gifts": GIFTS | {"answer": "deny"},
                                 "script_user_agent": {}}, """
9h               ann claim ten                    PENDING
9h+1s            settle
9h+1s            ann give 0 bob agent:script      DENIED      rule=script_user_agent
9h+1s            ann give 0 bob                   PENDING
9h+2s            settle  ann:0=DENIED ann:0.rule=gifts ann#0=AVAILABLE
"""),
    ("7 coupons gathered from different customers", {"coupons_gathered": {}}, """
9h               ann claim ten                    PENDING
9h               bob claim ten                    PENDING
9h               gold claim ten                   PENDING
9h               eve claim ten                    PENDING
9h+1s            settle
9h+1s            ann give 0 kid                   PENDING
9h+2s            bob give 0 kid                   PENDING
9h+3s            gold give 0 kid                  PENDING
9h+4s            settle
9h+5s            settle  gold:0=DONE gold:0.fired=-
9h+6s            eve give 0 kid                   PENDING
9h+7s            settle  eve:0=IN_REVIEW eve:0.rule=coupons_gathered
"""),
    ("8 a mark ends with the oldest of the last most + 1", {"check_ins": CHECK_INS}, """
9h               ann check_in dev:1
9h+10min         ann check_in dev:1
9h+20min         ann check_in dev:1
9h+21min         settle  mark:ann:check_ins=10h+10min
"""),
    ("8 … of different ones with the last time of each", {"check_in_farming": {"more_than": 1, "within": "1h"}}, """
9h               ann check_in dev:1
9h+10min         bob check_in dev:1
9h+20min         ann check_in dev:1
9h+21min         settle  mark:ann:check_in_farming=10h+10min mark:bob:check_in_farming=10h
"""),
    ("8 a day's mark ends at midnight, another never", {
        "day": CHECK_INS | {"within": "day", "more_than": 0}, "ever": ONE_CHECK_IN}, """
9h               ann check_in dev:1
9h+1s            settle  mark:ann:day=24h mark:ann:ever=ever
"""),
    ("9 a full table forgets the key idle longest", {"device": BY_DEVICE | {"within": "1h", "keys": 2}}, """
9h               ann claim stamp dev:1            PENDING
9h+1s            ann claim stamp dev:2            PENDING
9h+2s            ann claim stamp dev:1            PENDING  # fires; 2 is idle longest now
9h+3s            bob claim stamp dev:3            PENDING  # not judged
9h+4s            bob claim stamp dev:1            PENDING  # known: fires
9h+5s            bob claim stamp dev:2            PENDING  # not judged: it had been forgotten
9h+6s            bob claim stamp dev:2            PENDING  # known again: fires
9h+7s            settle  ann:2=DENIED bob:0=DONE bob:1=DENIED bob:2=DONE bob:3=DENIED unjudged:device=2
10h+10s          ann claim stamp dev:9            PENDING
10h+11s          settle  ann:3=DONE unjudged:device=2  # nothing forgotten is in a window
"""),
    ("10 young account, high value", {"young_account": {"within": "3660d", "worth": "30.00"}}, """
9h               ann claim lounge                 PENDING     fired=young_account
9h               ann claim ten                    PENDING     fired=-
9h               ann claim free                   PENDING     fired=young_account  # nothing bounds what it costs
"""),
    ("10 retry after a decline", {"retry_after_decline": {}}, """
9h               ann order 1 1.00x1               DONE
9h               ann order 2 1.00x1               DONE
9h               ann payment_declined
9h+1min-1ms      ann pay 1                        CHALLENGED  rule=retry_after_decline
9h+1min-1ms      ann order 3 1.00x1               DONE        fired=-
9h+1min          ann pay 1                        DONE        fired=-
"""),
    ("10 impossible travel", {"impossible_travel": {}}, """
9h               ann page_view city:wuhan
9h               ann order 1 1.00x1 city:near     DONE        fired=-  # 44 km
9h               ann order 2 1.00x1 city:wuhan    DONE        fired=-
9h               ann order 3 1.00x1 city:nowhere  DONE        fired=-
9h               ann order 4 1.00x1 city:xian     CHALLENGED  rule=impossible_travel  # dt = 0
9h+1s            ann order 4 1.00x1               CHALLENGED  rule=impossible_travel  # 647 km take 39 minutes
10h              ann order 4 1.00x1 city:xian     DONE        fired=-  # she is there now
12h              ann order 5 1.00x1 city:wuhan    DONE        fired=-
"""),
    ("10 … found at a log-in, answered at the claim, until it could have been made", {"impossible_travel": {}}, """
9h               ann page_view city:wuhan
9h+1s            ann login city:xian
9h+2s            ann claim stamp city:xian        PENDING     fired=impossible_travel rule=impossible_travel
9h+3s            settle  ann:0=CHALLENGED
9h+38min         ann page_view city:nowhere
9h+2332789ms     ann order 1 1.00x1 city:xian     CHALLENGED
9h+2332790ms     ann order 1 1.00x1 city:xian     DONE        fired=-
"""),
    ("10 … the longer of two journeys", {"impossible_travel": {"metres": 40_000}}, """
9h               ann page_view city:wuhan
9h+1s            ann page_view city:xian
9h+2s            ann page_view city:wuhan
9h+10s           ann page_view city:near                      # 44 km
9h+10min         ann order 1 1.00x1 city:near     CHALLENGED
10h              ann order 1 1.00x1 city:near     DONE
"""),
    ("10 outside the region", {"outside_region": {}}, """
9h               ann claim local city:xian        PENDING     fired=outside_region
9h               ann claim local city:wuhan       PENDING     fired=-
9h               ann claim local                  PENDING     fired=-
9h               ann claim stamp city:xian        PENDING     fired=-
9h+1s            settle  ann:0=DENIED ann:1=DONE
9h+2s            ann use 1 city:xian              DENIED      rule=outside_region
9h+2s            ann use 1 city:wuhan             DONE
"""),
    ("10 bot pace", {"bot_pace": {"more_than": 2, "gap": "1s"}}, """
9h               ann cancel 1                     NO_ORDER
9h+1s            ann cancel 1                     NO_ORDER
9h+2s            ann order 1 1.00x1               DONE        fired=-  # 2 s are not under 2 gaps of 1 s
9h+2s+999ms      ann order 2 1.00x1               CHALLENGED  rule=bot_pace
"""),
    ("10 claim without browsing", {"claim_without_browsing": {"more_than": 1, "views": 1}}, """
9h               ann page_view
9h+1s            ann claim stamp                  PENDING     fired=-
9h+2s            ann claim stamp                  PENDING     fired=claim_without_browsing
9h+3s            ann page_view
9h+3s            ann claim stamp                  PENDING     fired=-
9h+30min         ann claim stamp                  PENDING     fired=claim_without_browsing  # the first view is out
"""),
    ("10 a script", {"script_user_agent": {}}, """
9h               ann order 1 1.00x1 agent:browser  DONE        fired=-
9h               ann order 2 1.00x1 agent:script  DENIED      rule=script_user_agent
9h               ann order 2 1.00x1               DONE        fired=-
"""),
    ("10 unpaid orders count at held + 15 min", {"unpaid_orders": {"more_than": 1}}, """
9h               ann order 1 1.00x1               DONE
9h               ann order 2 1.00x1               DONE
9h               ann order 3 1.00x1               DONE
9h+1min          ann pay 3                        DONE
9h+15min-1ms     ann order 4 1.00x1               DONE        fired=-
9h+15min         ann order 5 1.00x1               DENIED      rule=unpaid_orders
9h+20min         ann cancel 4                     DONE
9h+20min         ann claim stamp                  PENDING     fired=-  # judged on orders
9h+21min         settle
9h+45min-1ms     ann order 6 1.00x1               DENIED
9h+45min         ann order 6 1.00x1               DONE        fired=-
"""),
    ("10 self-referral: a thing both were seen with", {"self_referral": {}}, """
9h               ann order 1 1.00x1 card:5        DONE
9h+1s            bob payment_declined card:5
9h+2s            bob register by:ann
9h+3s            kid register by:ann card:6
9h+4s            settle  mark:bob:self_referral=ever mark:kid:self_referral=- mark:ann:self_referral=-
9h+4s            bob order 1 1.00x1               DENIED      rule=self_referral
9h+4s            bob claim stamp                  PENDING     rule=self_referral
"""),
    ("10 … or the inviter on this IP within ten minutes", {"self_referral": {}}, """
9h               ann login_failed ip:1
9h+10min-1ms     bob register by:ann ip:1
9h+10min         kid register by:ann ip:1
9h+11min         settle  mark:bob:self_referral=ever mark:kid:self_referral=-
"""),
    ("10 referral cycle within four levels", {"referral_cycle": {}}, """
9h               ann register by:bob
9h+1s            bob register by:eve
9h+2s            eve register by:gold
9h+3s            gold register by:ann
9h+4s            settle  mark:gold:referral_cycle=ever mark:eve:referral_cycle=-
9h+5s            bob register by:kid
9h+6s            bob register by:gold
9h+7s            settle  mark:bob:referral_cycle=ever
"""),
    ("10 … the fourth is in, the fifth is not", {"referral_cycle": {}}, """
9h               ann register by:bob
9h+1s            bob register by:kid
9h+2s            kid register by:eve
9h+3s            eve register by:gold
9h+4s            gold register by:tom
9h+5s            tom register by:ann
9h+6s            gold register by:ann
9h+7s            settle  mark:tom:referral_cycle=- mark:gold:referral_cycle=ever
"""),
    ("10 collusion: more than half share with another", {"group_collusion": {}}, """
9h               ann group_join group:1 dev:1
9h+1s            bob group_join group:1 dev:2
9h+2s            kid group_join group:1 dev:3
9h+3s            eve group_join group:1 dev:1
9h+4s            settle  mark:eve:group_collusion=-  # two of four
9h+5s            gold group_join group:1 dev:3
9h+6s            settle  mark:gold:group_collusion=ever  # four of five
9h+7s            eve order 1 1.00x1               DONE  # only who joined then is told
9h+7s            gold order 1 1.00x1              DENIED
"""),
    ("1 a listed customer, device, IP", {"listed": {}}, """
9h               kid order 1 1.00x1               DENIED      rule=listed
9h               ann claim stamp dev:66           PENDING     fired=-
9h               ann claim stamp ip:66            PENDING     fired=-
9h               ann claim stamp dev:7            PENDING
9h               ann order 1 1.00x1               WAITS
9h+1s            settle  ann:0=DENIED ann:0.rule=listed ann:1=DENIED ann:2=DONE
"""),
    ("5 who is allowed no rule answers, but the block list", {"listed": {}, "orders": ORDERS | {"more_than": 0},
                                                              "device": BY_DEVICE | {"more_than": 0}}, """
9h               eve order 1 1.00x1               DONE        fired=orders rule=-
9h               gold claim stamp dev:77          PENDING
9h               gold claim stamp dev:66          PENDING
9h               gold claim stamp dev:1           PENDING
9h+1s            settle  gold:0=DONE gold:0.fired=device gold:1=DENIED gold:2=DENIED
"""),
    ("5 lists hold for the asks that LISTED judges", {"listed": {"judges": ["order"]},
                                                      "device": BY_DEVICE | {"more_than": 0}}, """
9h               eve claim stamp dev:1            PENDING
9h               gold claim stamp dev:77          PENDING
9h               kid claim stamp                  PENDING     fired=-
9h+1s            settle  eve:0=DENIED gold:0=DENIED kid:0=DONE
9h+1s            kid order 1 1.00x1               DENIED      rule=listed
"""),
    ("7 a person's listing", {"listed": {}, "orders": ORDERS | {"more_than": 0}}, """
9h               people list ann allow 1h
9h               people list bob block 1h
9h+1s            settle
9h+1s            ann order 1 1.00x1               DONE        rule=- fired=orders
9h+1s            bob claim stamp                  PENDING     rule=listed
10h+1s           ann order 2 1.00x1               DENIED      rule=orders
10h+1s           bob claim stamp                  PENDING     rule=-
"""),
    ("30 a proxy marks for an hour", {"proxy_ip": {}}, """
9h               ann page_view ip:3405803784
9h               bob check_in ip:3405803784
9h               bob claim stamp ip:3405803784    PENDING
9h               kid claim stamp ip:3405803783    PENDING
9h+1s            settle  bob:0=CHALLENGED bob:0.rule=proxy_ip mark:bob:proxy_ip=10h mark:ann:proxy_ip=-
10h-1ms          bob order 1 1.00x1               CHALLENGED
10h              bob order 1 1.00x1               DONE
"""),
]  # fmt: skip
