"""The condition language: what it compiles to means what Python would make of the same text."""

from collections.abc import Sequence
from fractions import Fraction
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from engine.policy.conditions import FACTS, MONEY, STEPS_MAX, WEEKDAYS, Compiler, ConditionError, Scope
from engine.policy.contradictions import Possible, can_hold, facts_read
from engine.records import ACCEPT, Compare, Fact

PAGES, CITIES, TIERS, TAGS = ["home", "balance", "bill"], ["beijing", "xian"], ["standard", "gold"], ["vip", "leader"]
SEGMENTS = {
    "high_risk": "high_risk",
    "young": "age < 25",
    "rich": "balance >= 50.00 and not young",
    "either": "young or rich and tag.vip",
}
SCOPE = Scope({"pages": PAGES, "cities": CITIES, "tiers": TIERS}, TAGS, SEGMENTS)
NAMES = {Fact.PAGE: PAGES, Fact.CITY: CITIES, Fact.HOME_CITY: CITIES, Fact.TIER: TIERS, Fact.WEEKDAY: WEEKDAYS}


# --- The oracle -------------------------------------------------------------------------------------------------------
def run(start: int, steps: Any, facts: dict[tuple[int, int], int]) -> bool:
    """What a kernel does with a compiled condition, said plainly."""
    operators = [int.__eq__, int.__ne__, int.__lt__, int.__le__, int.__gt__, int.__ge__]
    at = start
    while at >= 0:
        step = steps[at]
        left, right = facts[int(step.left), int(step.operand)], int(step.right)
        right = facts[right, 0] if step.right_is_fact else right
        is_in = left >= 0 and right >> left & 1 == 1
        held = is_in if step.compare == Compare.IN else operators[step.compare](left, right)
        at = int(step.if_true if held else step.if_false)
    return at == ACCEPT


def as_python(facts: dict[tuple[int, int], int]) -> dict[str, Any]:
    """The same facts as names for Python's own eval: yuan as fractions, categories as their names."""
    names: dict[str, Any] = {"true": True, "false": False, "standard": "standard", "gold": "gold"}
    for name, fact in FACTS.items():
        value = facts[fact, 0]
        if fact in MONEY:
            names[name] = Fraction(value, 100)
        elif fact in NAMES:
            names[name] = NAMES[fact][value] if value >= 0 else None
        else:
            names[name] = value
    names["gender"] = ("female", "male")[facts[Fact.GENDER, 0]]
    names["tag"] = SimpleNamespace(**{tag: bool(facts[Fact.TAG, n]) for n, tag in enumerate(TAGS)})
    for name, text in SEGMENTS.items():
        names[name] = eval(text, {}, names)
    return names


CATEGORY_SIZES = {Fact.PAGE: 3, Fact.CITY: 2, Fact.HOME_CITY: 2, Fact.TIER: 2}


def values_of(fact: Fact) -> Sequence[int]:
    """Few values around the literals below, so that equality is common."""
    if fact in CATEGORY_SIZES:
        return range(0 if fact is Fact.TIER else -1, CATEGORY_SIZES[fact])
    if fact in MONEY:
        return [-100, 0, 24, 25, 4_999, 5_000, 5_001]
    if fact in (Fact.CARD_ACTIVE, Fact.CARD_USED, Fact.HIGH_RISK, Fact.TAG, Fact.GENDER):
        return [0, 1]
    return range(1, 8) if fact is Fact.WEEKDAY else [0, 1, 3, 17, 18, 24, 25, 30]


FACT_KEYS = [(int(fact), 0) for fact in Fact] + [(int(Fact.TAG), 1)]
FACT_VALUES = st.fixed_dictionaries({key: st.sampled_from(list(values_of(Fact(key[0])))) for key in FACT_KEYS})

ATOMS = [
    "true", "false", "card_active", "high_risk", "tag.vip", "tag.leader", "young", "rich", "either", "18 <= age < 30",
    "age != 25", "3 > purchases", "balance < 50.00", "0.25 <= balance <= amount", "balance == 0.25", "balance > -1",
    "page == 'home'", "'balance' == page", "page != \"bill\"", "page in ['home', 'bill']", "page not in ('home',)",
    "home_city == city", "city not in ['xian']", "tier == gold", "tier != standard", "gender == 'female'",
    "weekday in ['monday', 'sunday']", "weekday == 'tuesday'", "hour in [3, 17]", "hour not in [3, 24]",
    "r_score <= f_score", "points >= 18 > purchases", "17 < age <= 25",
    "days_since_joined < 30", "spend_13w >= 50", "purchases_13w == 3",
]  # fmt: skip
DRAWS = 300  # of facts for every atom; few enough values that every edge is met


@pytest.mark.parametrize("text", ATOMS)
def test_every_comparison_is_what_python_makes_of_it(text: str) -> None:
    rng, compiler = Random(text), Compiler()
    start, _ = compiler.add(text, SCOPE)
    for _ in range(DRAWS):
        facts = {key: rng.choice(values_of(Fact(key[0]))) for key in FACT_KEYS}
        assert run(start, compiler.steps(), facts) == bool(eval(text, {}, as_python(facts))), (text, facts)


def combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.tuples(inner, st.sampled_from(["and", "or"]), inner)
    return inner.map(lambda text: f"not ({text})") | pairs.map(lambda parts: f"({parts[0]}) {parts[1]} {parts[2]}")


TEXTS = st.recursive(st.sampled_from(ATOMS), combined, max_leaves=8)


@seed(20260304)
@settings(max_examples=600, deadline=None)
@given(text=TEXTS, facts=FACT_VALUES)
def test_compiled_condition_is_what_python_makes_of_the_text(text: str, facts: dict[tuple[int, int], int]) -> None:
    compiler = Compiler()
    compiler.add("age > 1 or not young", SCOPE)  # steps are not the first of their table
    start, _ = compiler.add(text, SCOPE)
    assert run(start, compiler.steps(), facts) == bool(eval(text, {}, as_python(facts))), text


@seed(20260304)
@settings(max_examples=300, deadline=None)
@given(text=TEXTS, facts=FACT_VALUES)
def test_a_condition_that_holds_for_someone_is_no_contradiction(text: str, facts: dict[tuple[int, int], int]) -> None:
    compiler = Compiler()
    start, _ = compiler.add(text, SCOPE)
    if run(start, compiler.steps(), facts):
        assert can_hold(compiler.steps(), (start,), {}), text


# --- Readings that Python does not share ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "fact", "holding", "failing"),
    [
        ("dwell >= '5s'", Fact.DWELL_MS, 5_000, 4_999),
        ("dwell < '2min'", Fact.DWELL_MS, 119_999, 120_000),
        ("balance < 0.29", Fact.BALANCE, 28, 29),  # 0.29 × 100 is 28.999… to a float
        ("weekday >= 6", Fact.WEEKDAY, 6, 5),
        ("weekday >= saturday", Fact.WEEKDAY, 6, 5),
        ("weekday in [6, sunday]", Fact.WEEKDAY, 7, 5),
        ("tier >= gold", Fact.TIER, 1, 0),
        ("page == balance", Fact.PAGE, 1, 0),  # the page, not the fact of that name
        ("card_active == false", Fact.CARD_ACTIVE, 0, 1),
        ("age\n  < 18", Fact.AGE, 17, 18),
    ],
)
def test_readings(text: str, fact: Fact, holding: int, failing: int) -> None:
    compiler = Compiler()
    start, _ = compiler.add(text, SCOPE)
    got = [run(start, compiler.steps(), {(int(fact), 0): value}) for value in (holding, failing)]
    assert got == [True, False]


@pytest.mark.parametrize(
    ("text", "personal"),
    [
        ("page == 'home' and hour < 12 and amount > 1", False),
        ("true", False),
        ("hour < 12 or age > 3", True),
        ("city == home_city", True),
        ("tag.vip", True),
        ("young", True),
        ("page == balance", False),
        ("amount < balance", True),
    ],
)
def test_personal(text: str, personal: bool) -> None:
    assert Compiler().add(text, SCOPE)[1] is personal


def test_a_segment_is_personal_whatever_it_says() -> None:
    assert Compiler().add("everyone", Scope(SCOPE.categories, TAGS, {"everyone": "true"})) == (ACCEPT, True)


def test_facts_read_goes_through_segments() -> None:
    compiler = Compiler()
    start, _ = compiler.add("either or page == 'home'", SCOPE)
    assert facts_read(compiler.steps(), start) == {Fact.AGE, Fact.BALANCE, Fact.TAG, Fact.PAGE}


# --- Refusals ---------------------------------------------------------------------------------------------------------
REFUSALS = [
    ("balanc < 50", "unknown name 'balanc' (did you mean 'balance'?)"),
    ("yung", "unknown name 'yung' (did you mean 'young'?)"),
    ("tag.vipp", "unknown tag 'vipp' (known: vip, leader)"),
    ("device_id == 3", "marketing conditions may not read device or IP (device_id)"),
    ("not ip", "marketing conditions may not read device or IP (ip)"),
    ("page == hom", "hom is not one of the pages (did you mean 'home'?)"),
    ("gender == 'Female'", "'Female' is not one of the genders (did you mean 'female'?)"),
    ("page < 'home'", "page has no order, compare with ==, != or in"),
    ("balance < 50.001", "50.001 must be yuan with at most two decimals, like 50.00"),
    ("balance < 1e3", "1e3 must be yuan with at most two decimals, like 50.00"),
    ("balance < 1_000", "1_000 must be yuan with at most two decimals, like 50.00"),
    ("age < 0x12", "0x12 must be a whole number of years, like 3"),
    ("age < 18.5", "18.5 must be a whole number of years, like 3"),
    ("age < '18'", "'18' must be a whole number of years, like 3"),
    ("dwell > 5", "5 must be a duration in quotes, like '5s'"),
    ("age < balance", "age (years) cannot be compared with balance (money)"),
    ("age", "'age' must be compared with something"),
    ("1 < 2", "1 and 2 are both no fact"),
    ("age + 1 < 3", "age + 1 and 3 are both no fact"),
    ("card_active == tag.vip", "tag.vip cannot be compared: write it alone or after not"),
    ("page in []", "`in` needs a fact and a list of its values, as page in ['home']"),
    ("page in 'home'", "`in` needs a fact and a list of its values, as page in ['home']"),
    ("age is 3", "only ==, !=, <, <=, >, >= and in compare"),
    ("f(age)", "'f(age)' is not a comparison"),
    ("age < 3 # for now", "what follows # would be ignored"),
    ("age <", "invalid syntax"),
    ("", "invalid syntax"),
    ("(" * 300 + "true" + ")" * 300, "too many nested parentheses"),
]


@pytest.mark.parametrize(("text", "sentence"), REFUSALS, ids=[text[:30] for text, _ in REFUSALS])
def test_refusals(text: str, sentence: str) -> None:
    with pytest.raises(ConditionError) as error:
        Compiler().add(text, SCOPE)
    known = str(error.value).startswith(f"a condition: {sentence}")
    assert known, str(error.value)


def test_an_audience_reads_no_event() -> None:
    with pytest.raises(ConditionError, match=r"'hour' is a fact of the event, put it under"):
        Compiler().add("age > 3 and hour < 12", Scope(SCOPE.categories, TAGS, SEGMENTS, events=False))


def test_a_segment_names_only_earlier_ones() -> None:
    with pytest.raises(ConditionError, match="unknown name 'last'"):
        Compiler().add("first", Scope(SCOPE.categories, TAGS, {"first": "last", "last": "age > 3"}))


def test_segments_that_double_are_refused_before_they_fill_the_memory() -> None:
    doubling = {"s0": "age > 3", **{f"s{n}": f"s{n - 1} or not s{n - 1}" for n in range(1, 31)}}
    compiler = Compiler()
    with pytest.raises(ConditionError, match=f"may have {STEPS_MAX}"):
        compiler.add("s30", Scope(SCOPE.categories, TAGS, doubling))
    assert len(compiler.rows) == STEPS_MAX


# --- Contradictions ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "can"),
    [
        ("age < 18 and age > 17", False),
        ("age < 19 and age > 17", True),
        ("age <= 18", True),
        ("age < 18", False),
        ("age >= 150", True),
        ("age > 150", False),
        ("not age > 18", True),
        ("not age >= 18", False),
        ("age != 18 and age <= 19 and age != 19", False),
        ("age < 18 and young", False),  # with adults only, see below
        ("young and not young", False),
        ("tag.vip and not tag.vip", False),
        ("tag.vip and not tag.leader", True),
        ("page == 'home' and page in ['bill']", False),
        ("page in ['home', 'bill'] and page not in ['home', 'bill']", False),
        ("page in ['home', 'bill'] and page != 'home' and page != 'bill'", False),
        ("page not in ['home', 'balance', 'bill']", True),  # an event without a page
        ("balance < 1.00 and (balance > 2.00 or balance >= 1.00)", False),
        ("r_score < f_score and r_score > f_score", True),  # not looked into
        ("hour == 24", False),
        ("false", False),
    ],
)
def test_contradictions(text: str, can: bool) -> None:
    compiler = Compiler()
    start, _ = compiler.add(text, SCOPE)
    world = {(int(Fact.AGE), 0): Possible(18, 150), (int(Fact.HOUR), 0): Possible(0, 23)}
    assert can_hold(compiler.steps(), (start,), world) is can
