"""The condition language: `dormant and balance < 50.00 and page in ["home", "bill"]`.

Facts compare with literals or with facts of the same unit; and, or, not, parentheses, chained comparisons, `in`. A
condition becomes a run of steps (records.STEP): one comparison each, with where to go if it holds and if not.
"""

import ast
import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeGuard

import numpy as np

from engine.records import ACCEPT, FIRST_PERSONAL_FACT, REJECT, STEP, Compare, Fact, records

GENDERS = ("female", "male")
WEEKDAYS = ("", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONEY = {Fact.AMOUNT, Fact.BALANCE, Fact.SPEND_13W}
TRUTHS = {Fact.CARD_ACTIVE, Fact.CARD_USED, Fact.HIGH_RISK, Fact.TAG}
CATEGORY_OF = {
    Fact.PAGE: "pages",
    Fact.CITY: "cities",
    Fact.HOME_CITY: "cities",
    Fact.TIER: "tiers",
    Fact.GENDER: "genders",
    Fact.WEEKDAY: "weekdays",
}
LISTS = ast.List | ast.Tuple | ast.Set
FACTS = {("dwell" if fact is Fact.DWELL_MS else fact.name.lower()): fact for fact in Fact if fact is not Fact.TAG}
_COMPARES: dict[type[ast.cmpop], Compare] = {
    ast.Eq: Compare.EQ,
    ast.NotEq: Compare.NE,
    ast.Lt: Compare.LT,
    ast.LtE: Compare.LE,
    ast.Gt: Compare.GT,
    ast.GtE: Compare.GE,
}
_MIRRORED = {
    Compare.EQ: Compare.EQ,
    Compare.NE: Compare.NE,
    Compare.LT: Compare.GT,
    Compare.LE: Compare.GE,
    Compare.GT: Compare.LT,
    Compare.GE: Compare.LE,
}
ORDERED = ("weekdays", "tiers")  # names that < and > may compare: Monday first, tiers as declared
NUMBER_UNITS = {
    Fact.HOUR: "hour",
    Fact.DAY_OF_MONTH: "day of the month",
    Fact.AGE: "years",
    Fact.POINTS: "points",
    Fact.PURCHASES_13W: "purchases",
    Fact.PURCHASES: "purchases",
    Fact.R_SCORE: "score",
    Fact.F_SCORE: "score",
    Fact.M_SCORE: "score",
}
STEPS_MAX = 30_000  # what an i2 jump reaches
TEXT_LETTERS_MAX = 1_000  # of one condition; keeps the parser's recursion shallow
_DURATION = re.compile(r"(0|[1-9][0-9]{0,9})(ms|s|min|h)")
_DURATION_MS = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000}
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,2})?")
_FORBIDDEN = {"device", "device_id", "ip", "ip_address", "imei", "idfa", "oaid", "mac_address"}


class ConditionError(ValueError):
    """What is wrong with a condition, as the end of a sentence that begins with its path and "must be"."""


@dataclass(frozen=True)
class Scope:
    """What a condition may name. events: whether facts of the event may be read; fraud: it is not marketing's."""

    categories: Mapping[str, Sequence[str]]
    tags: Sequence[str]
    segments: Mapping[str, str] = field(default_factory=dict)
    events: bool = True
    fraud: bool = False


@dataclass(frozen=True)
class Leaf:
    """One comparison before it has a place."""

    left: Fact
    compare: Compare
    right: int
    operand: int = 0
    right_is_fact: bool = False


def unit_of(fact: Fact) -> str:
    if fact in MONEY:
        return "money"
    if fact in TRUTHS:
        return "truth"
    if fact is Fact.DWELL_MS:
        return "duration"
    return CATEGORY_OF.get(fact) or NUMBER_UNITS.get(fact, "days")


class Compiler:
    """Compiles conditions into one list of steps, back to front, so that every jump has its target."""

    def __init__(self) -> None:
        self.rows: list[tuple[Leaf, int, int]] = []

    def add(self, text: str, scope: Scope) -> tuple[int, bool]:
        """Compile a condition; returns its first step (or ACCEPT, REJECT) and whether it reads a personal fact.

        Raises ConditionError.
        """
        before = len(self.rows)
        expression = Expression(text, scope)
        try:
            start = self.place(expression.tree, ACCEPT, REJECT, expression)
        except RecursionError:
            raise ConditionError("a condition: it is nested too deeply") from None
        personal = expression.personal or any(
            leaf.left >= FIRST_PERSONAL_FACT or (leaf.right_is_fact and leaf.right >= FIRST_PERSONAL_FACT)
            for leaf, _, _ in self.rows[before:]
        )
        return start, personal

    def place(self, node: ast.expr, if_true: int, if_false: int, expression: "Expression") -> int:
        """Place a node so that it ends at one of two targets; returns where it begins."""
        if isinstance(node, ast.BoolOp):
            return self._all_or_any(node, if_true, if_false, expression)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return self.place(node.operand, if_false, if_true, expression)
        if isinstance(node, ast.Constant) and isinstance(node.value, bool):
            return if_true if node.value else if_false
        if isinstance(node, ast.Name) and node.id in ("true", "false"):
            return if_true if node.id == "true" else if_false
        if isinstance(node, ast.Name) and node.id in expression.scope.segments:
            inner = expression.segment(node.id)
            start = self.place(inner.tree, if_true, if_false, inner)
            expression.personal = True
            return start
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.NotIn):
            inside = ast.copy_location(ast.Compare(node.left, [ast.In()], node.comparators), node)
            return self.place(inside, if_false, if_true, expression)
        if expression.is_number_list(node):
            return self.place(any_of(node), if_true, if_false, expression)
        start = if_true
        for leaf in reversed(expression.leaves(node)):
            # Tested here, not at the end: segments that name each other twice double with every one of them.
            if len(self.rows) >= STEPS_MAX:
                raise ConditionError(f"fewer comparisons (all conditions together may have {STEPS_MAX})")
            self.rows.append((leaf, start, if_false))
            start = len(self.rows) - 1
        return start

    def _all_or_any(self, node: ast.BoolOp, if_true: int, if_false: int, expression: "Expression") -> int:
        is_and = isinstance(node.op, ast.And)
        start = if_true if is_and else if_false
        for value in reversed(node.values):
            start = self.place(value, start if is_and else if_true, if_false if is_and else start, expression)
        return start

    def steps(self) -> np.ndarray:
        """All conditions as STEP rows."""
        table = records(max(1, len(self.rows)), STEP)
        for row, (leaf, if_true, if_false) in zip(table, self.rows, strict=False):
            row.left, row.operand, row.compare = leaf.left, leaf.operand, leaf.compare
            row.right, row.right_is_fact = leaf.right, leaf.right_is_fact
            row.if_true, row.if_false = if_true, if_false
        return table


def any_of(node: ast.Compare) -> ast.expr:
    """`hour in [9, 21]` as `hour == 9 or hour == 21`: a mask holds categories only."""
    choices = node.comparators[0]
    assert isinstance(choices, LISTS)
    values: list[ast.expr] = [ast.copy_location(ast.Compare(node.left, [ast.Eq()], [one]), one) for one in choices.elts]
    return ast.BoolOp(ast.Or(), values)


class Expression:
    """One parsed condition with what it may name."""

    def __init__(self, text: str, scope: Scope) -> None:
        self.text, self.scope, self.personal = " ".join(text.split()), scope, False
        if len(self.text) > TEXT_LETTERS_MAX:
            raise ConditionError(f"a condition of at most {TEXT_LETTERS_MAX} letters")
        if "#" in self.text:
            raise ConditionError("a condition: what follows # would be ignored")
        try:
            self.tree = ast.parse(self.text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ConditionError(f"a condition: {getattr(error, 'msg', error)}") from None

    def segment(self, name: str) -> "Expression":
        """The condition of an earlier segment; it may name only segments before it."""
        names = list(self.scope.segments)
        earlier = {n: self.scope.segments[n] for n in names[: names.index(name)]}
        return Expression(
            self.scope.segments[name], Scope(self.scope.categories, self.scope.tags, earlier, events=False)
        )

    def is_number_list(self, node: ast.expr) -> TypeGuard[ast.Compare]:
        """Whether a node is `fact in [numbers]`."""
        if not (isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.In)):
            return False
        choices = node.comparators[0]
        is_number = self.names_fact(node.left) and unit_of(self.fact(node.left)[0]) not in CATEGORY_OF.values()
        return is_number and isinstance(choices, LISTS) and bool(choices.elts)

    def leaves(self, node: ast.expr) -> list[Leaf]:
        """The comparisons of one node that must all hold."""
        if isinstance(node, ast.Name | ast.Attribute):
            fact, operand = self.fact(node)
            if unit_of(fact) != "truth":
                raise ConditionError(f"a condition: {self.source(node)!r} must be compared with something")
            return [Leaf(fact, Compare.EQ, 1, operand)]
        if not isinstance(node, ast.Compare):
            raise ConditionError(f"a condition: {self.source(node)!r} is not a comparison")
        sides = [node.left, *node.comparators]
        return [self.comparison(a, op, b) for a, op, b in zip(sides, node.ops, sides[1:], strict=False)]

    def comparison(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Leaf:
        if isinstance(op, ast.In):
            return self.membership(left, right)
        compare = _COMPARES.get(type(op))
        if compare is None:
            raise ConditionError("a condition: only ==, !=, <, <=, >, >= and in compare")
        if not self.names_fact(left):
            if not self.names_fact(right):
                raise self.no_fact(left, right)
            left, right, compare = right, left, _MIRRORED[compare]
        fact, operand = self.fact(left)
        unit = unit_of(fact)
        if unit in CATEGORY_OF.values() and unit not in ORDERED and compare not in (Compare.EQ, Compare.NE):
            raise ConditionError(f"a condition: {self.source(left)} has no order, compare with ==, != or in")
        if self.names_fact(right) and not self.is_category_name(unit, right):
            other, _ = self.fact(right)
            if Fact.TAG in (fact, other):  # a step has one operand, and it is the left side's
                reason = "cannot be compared: write it alone or after not"
                raise ConditionError(f"a condition: {self.source(right)} {reason}")
            if unit_of(other) != unit:
                raise ConditionError(
                    f"a condition: {self.source(left)} ({unit}) cannot be compared with {self.source(right)}"
                    f" ({unit_of(other)})"
                )
            return Leaf(fact, compare, int(other), operand, right_is_fact=True)
        return Leaf(fact, compare, self.literal(fact, right), operand)

    def no_fact(self, left: ast.expr, right: ast.expr) -> ConditionError:
        """Why neither side of a comparison is a fact: a name that is unknown, or two literals."""
        for node in (left, right):
            if isinstance(node, ast.Name):
                try:
                    self.fact(node)
                except ConditionError as error:
                    return error
        return ConditionError(f"a condition: {self.source(left)} and {self.source(right)} are both no fact")

    def membership(self, left: ast.expr, right: ast.expr) -> Leaf:
        fact, operand = self.fact(left)
        if unit_of(fact) not in CATEGORY_OF.values() or not isinstance(right, LISTS) or not right.elts:
            raise ConditionError("a condition: `in` needs a fact and a list of its values, as page in ['home']")
        mask = 0
        for element in right.elts:
            mask |= 1 << self.literal(fact, element)
        return Leaf(fact, Compare.IN, mask, operand)

    # --- names --------------------------------------------------------------------------------------------------------
    def names(self, unit: str) -> Sequence[str]:
        if unit == "genders":
            return GENDERS
        if unit == "weekdays":
            return WEEKDAYS
        return self.scope.categories.get(unit, ())

    def is_category_name(self, unit: str, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id in self.names(unit)

    def names_fact(self, node: ast.expr) -> bool:
        return (isinstance(node, ast.Name) and node.id in FACTS) or isinstance(node, ast.Attribute)

    def fact(self, node: ast.expr) -> tuple[Fact, int]:
        """The fact a node names, and its operand."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "tag":
            if node.attr not in self.scope.tags:
                raise ConditionError(f"a condition: unknown tag {node.attr!r} (known: {', '.join(self.scope.tags)})")
            return Fact.TAG, list(self.scope.tags).index(node.attr)
        if isinstance(node, ast.Name) and node.id in _FORBIDDEN:
            if self.scope.fraud:
                raise ConditionError(f"a condition on facts: count by it with per, or list its values ({node.id})")
            raise ConditionError(f"a condition: marketing conditions may not read device or IP ({node.id})")
        if not isinstance(node, ast.Name) or node.id not in FACTS:
            raise ConditionError(f"a condition: unknown name {self.source(node)!r} ({self.known(self.source(node))})")
        fact = FACTS[node.id]
        if fact < FIRST_PERSONAL_FACT and not self.scope.events:
            reason = f"{node.id!r} is a fact of the event, put it under trigger.when"
            raise ConditionError(f"about the customer only: {reason}")
        return fact, 0

    def known(self, name: str) -> str:
        names = [*FACTS, *self.scope.segments, *(f"tag.{tag}" for tag in self.scope.tags)]
        close = difflib.get_close_matches(name, names, 1)
        return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"

    def source(self, node: ast.expr) -> str:
        return ast.get_source_segment(self.text, node) or ast.unparse(node)

    # --- literals -----------------------------------------------------------------------------------------------------
    def literal(self, fact: Fact, node: ast.expr) -> int:
        """A literal in the fact's unit."""
        unit = unit_of(fact)
        if unit in CATEGORY_OF.values():
            return self.category(unit, node)
        if unit == "truth":
            return self.truth(node)
        if unit == "duration":
            return self.duration(node)
        return self.number(unit, node)

    def truth(self, node: ast.expr) -> int:
        if isinstance(node, ast.Constant) and isinstance(node.value, bool):
            return int(node.value)
        if isinstance(node, ast.Name) and node.id in ("true", "false"):
            return int(node.id == "true")
        raise ConditionError(f"a condition: {self.source(node)} must be true or false, or leave the comparison out")

    def number(self, unit: str, node: ast.expr) -> int:
        """A number as written, so that 0.29 yuan are 29 fen."""
        text = self.source(node)
        if unit == "money":
            if _NUMBER.fullmatch(text):
                return int(Decimal(text) * 100)
            raise ConditionError(f"a condition: {text} must be yuan with at most two decimals, like 50.00")
        if _NUMBER.fullmatch(text) and "." not in text:
            return int(text)
        raise ConditionError(f"a condition: {text} must be a whole number of {unit}, like 3")

    def category(self, unit: str, node: ast.expr) -> int:
        name = node.value if isinstance(node, ast.Constant) else node.id if isinstance(node, ast.Name) else None
        names = list(self.names(unit))
        if unit == "weekdays" and type(name) is int and 1 <= name <= 7:
            return name
        if name not in names or name == "":
            known = ", ".join(n for n in names if n) or "none declared"
            close = difflib.get_close_matches(str(name), names, 1)
            raise ConditionError(
                f"a condition: {self.source(node)} is not one of the {unit} "
                + (f"(did you mean {close[0]!r}?)" if close else f"({known})")
            )
        return names.index(name)

    def duration(self, node: ast.expr) -> int:
        text = node.value if isinstance(node, ast.Constant) else None
        match = _DURATION.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise ConditionError(f"a condition: {self.source(node)} must be a duration in quotes, like '5s'")
        return int(match[1]) * _DURATION_MS[match[2]]
