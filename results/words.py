"""Numbers and codes in plain words: how the report writes percentages, money, counts, reasons and goals."""

import math

THIN = "\u202f"  # a narrow space that does not break
MINUS = "\u2212"
NOTHING = "–"

REASONS = {
    "shown": "shown",
    "outside_window": "outside the campaign's dates",
    "paused": "campaign paused",
    "blocked": "customer is blocked",
    "minor": "customer is, or is likely, a minor",
    "no_consent": "no consent for this channel",
    "personalisation_off": "customer has personalisation off",
    "not_in_audience": "not in the audience",
    "condition": "condition not met",
    "protected_page": "protected page, such as payment",
    "closed_on_page": "a message was closed on this page view",
    "dwell": "not long enough on the page",
    "muted": "muted: “don't show again”",
    "snoozed": "snoozed: “remind me later”",
    "quiet_hours": "quiet hours",
    "back_off": "back-off after closes in a row",
    "cool_down": "cool-down: shown too recently",
    "campaign_cap": "cap of this campaign reached",
    "channel_cap": "cap of this channel reached",
    "total_cap": "cap over all messages reached",
    "out_of_stock": "reward out of stock",
    "budget": "budget used up",
    "lost_arbitration": "another campaign won the place",
    "held_out": "held out for measurement",
    "no_candidate": "no campaign was triggered",
}

# What became of a claim, or of whatever else was asked.
ANSWERS = {
    "granted": "granted",
    "not_open": "claims not open",
    "blocked": "customer is blocked",
    "minor": "customer is, or is likely, a minor",
    "personalisation_off": "customer has personalisation off",
    "not_eligible": "not in the coupon's audience",
    "region": "not in this region",
    "limit": "limit per customer reached",
    "wallet_full": "wallet full",
    "out_of_stock": "out of stock",
    "budget": "budget used up",
    "denied": "denied as suspicious",
    "challenged": "refused until a challenge is passed",
    "in_review": "under review by a person",
    "fallback": "granted, a weaker coupon",
    "lapsed": "ran out unanswered",
    "no_room": "too many at once; to be asked again",
    "id_reused": "a repetition that asked for something else",
    "too_many_ids": "too many requests at once",
    "pending": "not settled yet",
    "no_order": "no such order",
    "no_coupon": "no such coupon any more",
    "too_many_orders": "too many open orders",
    "cart": "not a cart that can be priced",
    "pieces": "more pieces than were bought",
}

# goal event: what is lifted, who does it
GOALS = {
    "first_use": ("first use", "first users"),
    "payment": ("payments", "customers who pay"),
    "instalment": ("instalment plans", "customers who pay in instalments"),
    "top_up": ("top-ups", "customers who top up"),
    "card_bound": ("card binding", "customers who bind a card"),
    "feature_used": ("use of the feature", "customers who use the feature"),
    "bill_viewed": ("bill views", "customers who view their bill"),
    "login": ("log-ins", "customers who log in"),
    "register": ("registration", "customers who register"),
}
CHANNELS = {"popup": "pop-up", "push": "push message", "sms": "SMS", "email": "e-mail", "voice": "call"}
VERDICTS = {"holds": "holds", "fails": "fails", "undecided": "undecided: not enough evidence"}
UNITS = {  # unit of a metric -> how it is written
    "share": "percent", "points": "points", "yuan": "yuan", "seconds": "seconds", "count": "count",
    "per customer": "number", "per visit": "number", "p": "p", "estimated count": "about",
    "yuan each": "each", "per 1,000": "thousand", "per 10,000": "number",
    "hours": "hours", "ratio": "number",
}  # fmt: skip


def reason(name: str) -> str:
    return REASONS.get(name, plain(name))


def claim_answer(name: str) -> str:
    return ANSWERS.get(name, plain(name))


def plain(name: str) -> str:
    """A name of the policy as words."""
    return name.replace("_", " ")


def goal(event: str) -> tuple[str, str]:
    return GOALS.get(event, (plain(event), f"customers with {plain(event)}"))


def channel(name: str) -> str:
    return CHANNELS.get(name, plain(name))


def people(count: int) -> str:
    """A customer base as one says it: 10 M, 1.25 M, 400,000."""
    return f"{count / 1_000_000:,.10g} M" if count >= 1_000_000 and count % 10_000 == 0 else f"{count:,}"


def formatted(value: float | None, spec: str) -> str:
    """A number as text; `spec` is a kind, `+` for an explicit sign, `:n` for decimals: percent:1, +points:2, yuan:0."""
    if value is None:
        return NOTHING
    kind, _, decimals = spec.lstrip("+").partition(":")
    places = int(decimals) if decimals else places_of(kind, value, None)
    text = _WRITERS[kind](abs(value), places)
    if not any(c in "123456789" for c in text):
        return text  # what rounds to 0 has no sign
    return (MINUS if value < 0 else "+" if spec.startswith("+") else "") + text


def span(low: float, high: float, spec: str) -> str:
    """An interval, its unit left to the figure before it: 3.1–3.9, or −0.2 to 0.4."""
    kind, _, decimals = spec.lstrip("+").partition(":")
    places = int(decimals) if decimals else places_of(kind, high, high - low)
    ends = [formatted(end, f"{_BARE.get(kind, kind)}:{places}") for end in (low, high)]
    if kind in _SAID_ONCE and low >= 0:
        ends[1] = ends[1].removeprefix("¥")
    return f"{ends[0]} to {ends[1]}" if low < 0 or high < 0 else f"{ends[0]}–{ends[1]}"


def spec_of(unit: str, value: float | None, low: float | None = None, high: float | None = None, sign: str = "") -> str:
    """The spec that writes a figure as finely as its interval deserves, and no finer."""
    kind = UNITS.get(unit, "number")
    width = None if low is None or high is None else high - low
    return f"{sign}{kind}:{places_of(kind, value or 0.0, width)}"


def places_of(kind: str, value: float, width: float | None) -> int:
    """Decimals: two digits of the interval's half-width; without one, what a reader takes in."""
    scale = _SCALES.get(kind, 1)
    size = abs(value) * scale
    if kind in _FIXED:
        return _FIXED[kind]
    if kind == "about":  # rounded to tens, hundreds...: negative decimals
        return min(1 - math.floor(math.log10(width / 2)), 0) if width else 0
    if width:
        wanted = 1 - math.floor(math.log10(width * scale / 2) + 0.5)
    elif scale == 100:
        wanted = 1 if size >= 1 or not size else 2
    else:
        wanted = 2 - math.floor(math.log10(size)) if size else 0
    return min(max(wanted, _LEAST.get(kind, 0)), _MOST.get(kind, 3))


_FIXED = {"count": 0, "p": 3, "seconds": 1, "total": 2, "many": 2, "hours": 0}
_SCALES = {"percent": 100, "points": 100, "bare": 100, "thousand": 1000}
_LEAST, _MOST = {"each": 2}, {"yuan": 2, "each": 4}
_SAID_ONCE = ("each", "total")  # their ¥ stands before an interval once


def _percent(value: float, places: int) -> str:
    return f"{value * 100:,.{places}f}{THIN}%"


def _points(value: float, places: int) -> str:
    return f"{value * 100:,.{places}f} points"


def _bare(value: float, places: int) -> str:
    return f"{value * 100:,.{places}f}"


def _about(value: float, places: int) -> str:
    return f"{round(value, places):,.0f}"


def _yuan(value: float, places: int) -> str:
    return f"¥{value:,.{0 if value >= 10_000 else places}f}"


def _number(value: float, places: int) -> str:
    return f"{value:,.{places}f}"


def _each(value: float, places: int) -> str:
    return f"¥{value:,.{places}f}"


def _total(value: float, digits: int) -> str:
    return "¥" + _many(value, digits)


def _many(value: float, digits: int) -> str:
    """So many significant digits, and M or bn: 72,000, 4.2 M."""
    if not value:
        return "0"
    exponent = math.floor(math.log10(value))
    size = round(value, digits - 1 - exponent)
    for least, word in ((1e9, "bn"), (1e6, "M")):
        if size >= least:
            return f"{size / least:,.{max(0, digits - 1 - math.floor(math.log10(size / least)))}f} {word}"
    return f"{size:,.{max(0, digits - 1 - exponent) if size < 1 else 0}f}"


def _thousand(value: float, places: int) -> str:
    return f"{value * 1000:,.{places}f}"


def _seconds(value: float, places: int) -> str:
    minutes, seconds = divmod(round(value), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{value:.{places}f} s"


def _hours(value: float, places: int) -> str:
    """The two largest units: 3 d 4 h, 5 h 12 min, 2 min 3 s, 0.4 s."""
    seconds = round(value * 3_600)
    if seconds < 10:
        return f"{value * 3_600:.1f} s"
    parts = [
        (seconds // 86_400, "d"),
        (seconds // 3_600 % 24, "h"),
        (seconds // 60 % 60, "min"),
        (seconds % 60, "s"),
    ]
    first = next(place for place, (count, _) in enumerate(parts) if count)
    said = [f"{count:,} {unit}" for count, unit in parts[first : first + 2] if count]
    return " ".join(said)


def _p(value: float, places: int) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.{places}f}"


_BARE = {"percent": "bare", "points": "bare"}
_WRITERS = {
    "percent": _percent, "points": _points, "bare": _bare, "yuan": _yuan, "number": _number, "count": _number,
    "seconds": _seconds, "p": _p, "about": _about, "each": _each, "total": _total, "many": _many,
    "thousand": _thousand, "hours": _hours,
}  # fmt: skip
