"""Lint of words of scarcity: what texts say of pieces and days, against the stock and the validity behind them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from engine.policy.campaign import Campaign
from engine.policy.coupon import Coupon, validity_text
from engine.policy.findings import Finding
from engine.policy.look import Look, name_of
from engine.policy.quantities import UNITS_MS
from engine.records import DAY_MS

SCARCITY = re.compile(
    r"(?i)last chance|only\b.{0,30}\bleft\b|count-?down|while (stocks?|supplies) lasts?|仅剩|限量|最后|倒计时"
)
COUNTDOWN = re.compile(r"(?i)last chance|count-?down|最后|倒计时")
WORDS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
SIGNS = {sign: n for n, sign in enumerate("一二三四五六七八九十", start=1)} | {"两": 2}
NUMBER = rf"[0-9][0-9,]*|{'|'.join(WORDS)}"
PIECES = (
    re.compile(rf"(?i)\b({NUMBER})()\s*(?:pieces?|pcs|coupons|vouchers|tickets|seats)\b"),
    re.compile(rf"(?i)\b(?:first|only|last)\s+({NUMBER})\b()(?![\s-]*(?:%|yuan|off|hour|day|week))"),
    re.compile(rf"(?<![第0-9,])([0-9][0-9,]*|[{''.join(SIGNS)}])\s*(万?)\s*(?:件|张|份|名)"),
)
TIMES = (
    re.compile(rf"(?i)\b({NUMBER})[\s-]*(hour|day|week)s?\b"),
    re.compile(rf"(?<![月第0-9,])([0-9][0-9,]*|[{''.join(SIGNS)}])\s*个?(小时|天|日|周|星期)"),
)
UNITS = {"hour": "h", "day": "d", "week": "w", "小时": "h", "天": "d", "日": "d", "周": "w", "星期": "w"}


# --- What texts say ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Said:
    """A number that a text states."""

    words: str
    number: int  # pieces, or ms


def number_of(text: str) -> int:
    found = WORDS.get(text.lower()) or SIGNS.get(text)
    return found if found is not None else int(text.replace(",", ""))


def pieces_said(text: str) -> Iterator[Said]:
    for pattern in PIECES:
        for match in pattern.finditer(text):
            yield Said(match[0].strip(), number_of(match[1]) * (10_000 if match[2] else 1))


def times_said(text: str) -> Iterator[Said]:
    for pattern in TIMES:
        for match in pattern.finditer(text):
            yield Said(match[0].strip(), number_of(match[1]) * UNITS_MS[UNITS[match[2].lower()]])


# --- What stands behind them ------------------------------------------------------------------------------------------
def true_pieces(coupon: Coupon) -> set[int]:
    """Numbers of pieces that a text may state."""
    numbers = {limit.most for limit in coupon.claims}
    numbers |= {coupon.ration.pieces} if coupon.ration is not None else set()
    numbers |= {coupon.every} if coupon.every is not None else set()
    return numbers | ({coupon.pieces} if coupon.pieces is not None and coupon.reorder is None else set())


def true_times(coupon: Coupon, campaign: Campaign | None) -> set[int]:
    """Lengths of time, in ms, that a text may state."""
    numbers = {limit.per for limit in coupon.claims if isinstance(limit.per, int)}
    numbers |= {coupon.ration.every} if coupon.ration is not None else set()
    starts, ends = [coupon.claim.from_], [coupon.claim.until]
    if coupon.valid is not None:
        numbers |= {coupon.valid.for_} if coupon.valid.for_ is not None else set()
        starts, ends = [*starts, coupon.valid.from_], [*ends, coupon.valid.until]
    if campaign is not None:
        starts, ends = [*starts, campaign.window.from_], [*ends, campaign.window.until]
    spans = ((end - start).days * DAY_MS for start in starts for end in ends if start is not None and end is not None)
    return numbers | set(spans)


def stock_text(coupon: Coupon) -> str:
    if coupon.pieces is None:
        return "there is no end of them"
    if coupon.reorder is not None:
        return f"stock is ordered again when {coupon.reorder.at} are left"
    return f"there are {coupon.pieces} pieces"


def lasts_text(coupon: Coupon) -> str:
    lasts = validity_text(coupon)
    if lasts is not None:
        return f"it is valid {lasts}"
    return "it has no end" if coupon.claim.until is None else f"it can be claimed until {coupon.claim.until}"


# --- Findings ---------------------------------------------------------------------------------------------------------
def texts(look: Look) -> Iterator[tuple[str, str, Coupon, Campaign | None, str]]:
    """(path of the text, name of the coupon, the coupon, its campaign, the text) of what is said of coupons."""
    for path, coupon in look.coupons():
        if coupon.text is not None:
            yield f"{path}.text", name_of(path), coupon, None, coupon.text
    for path, campaign, creative in look.creatives():
        if (offered := look.offered(campaign)) is not None:
            yield f"{path}.text", campaign.coupon or "", offered, campaign, creative.text


def untrue_numbers(look: Look) -> Iterator[Finding]:
    for path, name, coupon, campaign, text in texts(look):
        wrong = [(said, stock_text(coupon)) for said in pieces_said(text) if said.number not in true_pieces(coupon)]
        times = true_times(coupon, campaign)
        wrong += [(said, lasts_text(coupon)) for said in times_said(text) if said.number not in times]
        for said, truth in wrong:
            yield Finding(
                "W23", "ask", path,
                f"a text of {name} says {said.words!r}, and {truth}",
                "let the text say what holds; where it means something else, ask counsel",
            )  # fmt: skip


def scarcity(look: Look) -> Iterator[Finding]:
    """Words that press, where no stock and no end stand behind them."""
    for path, campaign, creative in look.creatives():
        found, offered = SCARCITY.search(creative.text), look.offered(campaign)
        if found and not (offered is not None and is_scarce(offered)):
            ends = campaign.window.until is not None
            yield Finding(
                "W10", "ask", f"{path}.text",
                f"the text of {name_of(path)} says {found[0]!r}, and no stock stands behind it"
                if ends
                else f"the text of {name_of(path)} says {found[0]!r}, and no stock or end stands behind it",
                "ask counsel; words of scarcity must be true: name the pieces there are and the date it ends",
            )  # fmt: skip
    for path, coupon in look.coupons():
        found = SCARCITY.search(coupon.text or "")
        if found and not is_scarce(coupon):
            yield Finding(
                "W10", "ask", f"{path}.text",
                f"the text of {name_of(path)} says {found[0]!r}, and no stock or end stands behind it",
                "ask counsel; words of scarcity must be true: name the pieces there are and the date it ends",
            )  # fmt: skip


def is_scarce(coupon: Coupon) -> bool:
    """Whether there is an end of its pieces, or of the days on which it can be claimed or used."""
    ends = coupon.claim.until is not None or (coupon.valid is not None and coupon.valid.until is not None)
    return ends or (coupon.pieces is not None and coupon.reorder is None)


def countdown_restarts(look: Look) -> Iterator[Finding]:
    """A press of days that begins anew with every claim."""
    said = {name: text for _, name, _, _, text in texts(look) if COUNTDOWN.search(text)}
    for path, coupon in look.coupons():
        name, valid = name_of(path), coupon.valid
        once = any(limit.per is None and limit.most == 1 for limit in coupon.claims)
        starts_at_claim = valid is not None and valid.for_ is not None and valid.until is None
        if (coupon.urgency == "days" or name in said) and starts_at_claim and not once:
            yield Finding(
                "W24", "ask", f"{path}.limits",
                f"{name} presses with the days left ({validity_text(coupon)}), and a customer who claims it again"
                " has all of them again",
                "let every customer claim it once, or give valid.until a date; or ask counsel",
            )  # fmt: skip
