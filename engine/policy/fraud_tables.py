"""Fraud rules of a policy as the arrays that rules read."""

from typing import NamedTuple

import numpy as np

from engine.fraud_records import LISTED, RANGE, RULE
from engine.policy.document import Policy
from engine.records import EVENT_KINDS, NONE, records


class FraudTables(NamedTuple):
    """The fields of records.Tables that speak of fraud rules."""

    rules: np.ndarray
    listening_bounds: np.ndarray
    listening: np.ndarray
    metres: np.ndarray
    ranges: np.ndarray
    listed: np.ndarray


def fraud_tables(policy: Policy) -> FraudTables:
    cities = max(1, len(policy.names.cities))
    return FraudTables(
        records(0, RULE), np.zeros(EVENT_KINDS + 1, np.int32), np.zeros(0, np.int16),
        np.full((cities, cities), NONE, np.int64), records(0, RANGE), records(0, LISTED),
    )  # fmt: skip
