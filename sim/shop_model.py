"""What customers of a shop are like: baskets, how they take coupons, and the errands they have under way."""

import numpy as np

# One row, or none where the population does not shop with coupons. Shares and probabilities as floats, times in ms.
SHOP = np.dtype(
    [
        ("pieces_mean", "f8"),  # of one line
        ("shipping", "i8"),  # fen
        ("sensitivity_spread", "f8"),  # standard deviation of log price sensitivity; its mean is 1
        ("tagged_sensitivity", "f8"),  # factor on that of customers with the tag
        ("sensitive_tag", "i8"),  # number of the tag; NONE
        ("claims_when_seen", "f8"),  # of those who open a page that lists coupons, at full pull
        ("drop_attends", "f8"),  # of all customers, at full pull
        ("drop_within_ms", "f8"),  # mean time from the drop to the claim
        ("double_clicks", "f8"),  # share of claims sent twice at once
        ("retries", "f8"),  # share of those without an answer who send the same claim again
        ("retry_after_ms", "f8"),
        ("uses", "f8"),  # of granted coupons, at full pull: a purchase is made for the coupon's sake
        ("uses_after_ms", "f8"),  # mean time from grant to that purchase
        ("last_day", "f8"),  # of those who would come too late, share who come on the last day
        ("pull_half", "f8"),  # fen off at which a coupon has half its pull
        ("brought_forward", "f8"),  # shares of those purchases; the rest is added
        ("switched", "f8"),
        ("adds_lines", "f8"),  # of those told what is missing to a threshold, at full pull
        ("adds_pieces", "f8"),  # of those with a coupon for the nth piece, at full pull
        ("refunds", "f8"),  # share of paid orders of which something comes back
        ("refunds_whole", "f8"),  # of these, the whole order
        ("refund_after_ms", "f8"),
        ("collects", "f8"),  # share of rights and prizes that are used
        ("collect_after_ms", "f8"),
        ("gives_away", "f8"),  # share of granted coupons passed on, where the coupon allows it
        ("days_claims", "f8"),  # urgency: factors on claims and on the time to the purchase
        ("days_sooner", "f8"),
        ("pieces_claims", "f8"),
        ("pieces_sooner", "f8"),
    ],
    align=True,
)

PRODUCT = np.dtype([("price", "i8"), ("category", "i2"), ("brand", "i2"), ("product", "i2")], align=True)

# How a coupon looks to a customer.
OFFER = np.dtype(
    [
        ("terms", "i2"),  # row of TERMS; NONE: the slot holds no coupon
        ("urgency", "i1"),  # 0 none, 1 days, 2 pieces
        ("listed", "i1"),  # may be claimed on a page that lists coupons
    ],
    align=True,
)


SHOPPER = np.dtype(
    [
        ("claim_ms", "i8"),  # when the next claim is sent
        ("claim_id", "i8"),  # its id: retries and double clicks have the same
        ("use_ms", "i8"),  # when a purchase for a coupon's sake is made
        ("use_key", "i8"),
        ("refund_ms", "i8"),
        ("give_ms", "i8"),
        ("collect_ms", "i8"),  # when a right or a prize is used
        ("held", "i8"),  # mask of coupons the customer knows to have
        ("not_for", "i8"),  # mask of coupons the customer knows not to be for them
        ("basket_key", "i8"),  # the basket at hand
        ("sensitivity", "f8"),
        ("order", "i4"),  # number of the latest order
        ("order_paid", "i4"),
        ("order_discount", "i4"),
        ("order_slots", "i8"),
        ("refund_order", "i4"),
        ("added_pieces", "i4"),  # added to reach a threshold
        ("discounts", "i4"),  # fen since launch; so are the goods
        ("goods", "i4"),  # at list price, without shipping
        ("liability", "i4"),  # fen that the coupons still open at the end are expected to cost
        ("refund_paid", "i4"),  # of the order of which something comes back
        ("refund_discount", "i4"),
        ("orders", "i2"),  # paid since launch; so are the pieces
        ("pieces", "i2"),
        ("order_lines", "i2"),  # of the latest order
        ("order_pieces", "i2"),
        ("give_claim", "i4"),
        ("collect_claim", "i4"),
        ("claim_coupon", "i1"),
        ("claim_campaign", "i1"),
        ("claim_tries", "i1"),
        ("use_coupon", "i1"),
        ("added_product", "i1"),  # place in the catalogue; NONE
        ("doubled_line", "i1"),  # line that got more pieces for a coupon's sake; NONE
        ("refund_line", "i1"),
        ("considered", "i1"),  # whether adding to the basket at hand has been considered
    ],
    align=True,
)
