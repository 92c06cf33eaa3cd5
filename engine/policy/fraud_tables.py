"""Fraud rules of a policy as the arrays that rules read."""

from math import asin, cos, radians, sin, sqrt
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from engine.fraud_records import LISTED, RANGE, RULE, Check, Field, Mode
from engine.policy.compiling import Conditions, salt
from engine.policy.coupon_tables import last_ms
from engine.policy.document import Policy
from engine.policy.fraud import Fraud, Place
from engine.policy.fraud_rules import RuleRow
from engine.policy.registry import Registry, size_of
from engine.records import EVENT_KINDS, NEVER_MS, NONE, PER_DAY, PER_ROLLING, records

EARTH_RADIUS_METRES = 6_371_009  # mean, IUGG


class FraudTables(NamedTuple):
    """The fields of records.Tables that speak of fraud rules."""

    rules: np.ndarray
    listening_bounds: np.ndarray
    listening: np.ndarray
    metres: np.ndarray
    ranges: np.ndarray
    listed: np.ndarray


def fraud_tables(policy: Policy, registry: Registry, conditions: Conditions, zone: ZoneInfo) -> FraudTables:
    """Names must have their slots. A slot of another policy's rule is there, and not used."""
    rules, rows = records(size_of(registry.rules), RULE), policy.fraud.rows()
    rules["different"] = NONE
    for name, slot in registry.rules.items():
        rules[slot].name_hash = salt(name)
    for name, row in rows.items():
        fill_rule(rules[registry.rules[name]], row)
        rules[registry.rules[name]].keys = row.keys or policy.fraud.keys
        scope = policy.scope(policy.segments, events=True)
        rules[registry.rules[name]].where, _ = conditions.compile(f"fraud.rules.{name}.where", row.where, scope)
    bounds, listening = listeners({registry.rules[name]: row for name, row in rows.items()})
    cities, fraud = policy.names.cities, policy.fraud
    return FraudTables(
        rules, bounds, listening, metres_between(cities, fraud.places), range_table(fraud), listed_table(fraud, zone)
    )


def fill_rule(row: np.record, rule: RuleRow) -> None:
    """Everything of a RULE but its condition and its name."""
    row.used, row.number = 1, rule.number
    row.check, row.home = Check[rule.check.upper()], rule.home
    row.kinds, row.judges = rule.kinds, rule.judged
    row.key = rule.key
    row.different = NONE if rule.different is None else Field[rule.different.upper()]
    row.per = PER_DAY if rule.within == "day" else PER_ROLLING
    row.window_ms = NEVER_MS if rule.within is None else 0 if isinstance(rule.within, str) else rule.within
    row.most, row.amount = rule.more_than or 0, rule.amount
    row.mode, row.verdict, row.granted = Mode[(rule.mode or "active").upper()], rule.verdict, rule.granted


def listeners(rows: dict[int, RuleRow]) -> tuple[np.ndarray, np.ndarray]:
    """Bounds (i4[EVENT_KINDS + 1]) and slots, ascending, of the rules that are told of each kind of event."""
    of_kind = [
        [slot for slot in sorted(rows) if rows[slot].is_on and rows[slot].heard >> kind & 1] for kind in range(63)
    ]
    of_kind.append([])  # no mask holds the last kind
    bounds = np.cumsum([0, *(len(slots) for slots in of_kind)]).astype(np.int32)
    assert len(bounds) == EVENT_KINDS + 1
    return bounds, np.array([slot for slots in of_kind for slot in slots], np.int16)


# --- Places -----------------------------------------------------------------------------------------------------------
def metres_between(cities: list[str], places: dict[str, Place]) -> np.ndarray:
    """i8[cities, cities]: along the great circle; NONE where a place is not known."""
    table = np.full((max(1, len(cities)),) * 2, NONE, np.int64)
    known = [number for number, city in enumerate(cities) if city in places]
    for number in known:
        for other in known:
            if other <= number:
                table[number, other] = table[other, number] = metres(places[cities[number]], places[cities[other]])
    return table


def metres(a: Place, b: Place) -> int:
    """Haversine (Sinnott 1984, "Virtues of the haversine")."""
    north, east = radians(b.latitude - a.latitude), radians(b.longitude - a.longitude)
    h = sin(north / 2) ** 2 + cos(radians(a.latitude)) * cos(radians(b.latitude)) * sin(east / 2) ** 2
    return round(2 * EARTH_RADIUS_METRES * asin(sqrt(min(1.0, h))))


# --- Lists ------------------------------------------------------------------------------------------------------------
def range_table(fraud: Fraud) -> np.ndarray:
    """RANGE rows."""
    merged = [] if fraud.proxies is None else fraud.proxies.merged()
    table = records(len(merged), RANGE)
    for row, ends in zip(table, merged, strict=True):
        row.first, row.last = ends
    return table


def listed_table(fraud: Fraud, zone: ZoneInfo) -> np.ndarray:
    """LISTED rows, ascending by field, value and list: a value has at most one of the block list, then one allowed."""
    ends: dict[tuple[int, int, bool], int] = {}
    for allowed, listing, entry in fraud.lists.entries():
        key = (int(Field[listing.field.upper()]), entry.first, allowed)
        ends[key] = max(ends.get(key, 0), last_ms(entry.until or listing.until, zone))
    table = records(len(ends), LISTED)
    for row, ((field, value, allowed), until) in zip(table, sorted(ends.items()), strict=True):
        row.field, row.value, row.allowed, row.until_ms = field, value, allowed, until
    return table
