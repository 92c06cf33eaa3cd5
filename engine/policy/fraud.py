"""The fraud rules of a policy: core rows it includes and changes, rules of its own, lists, where cities are."""

import difflib
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path as FilePath
from typing import Annotated, Literal

from pydantic import Field

from engine.fraud_records import RULES_MAX
from engine.policy.checks import Checks
from engine.policy.fraud_lists import Entry, IpRanges, Listing
from engine.policy.fraud_rules import (
    ALL_BOUNDS,
    BOUNDS,
    MEANING,
    CoreRules,
    Keys,
    Rule,
    RuleRow,
    judges_among,
    not_a_bound,
)
from engine.policy.quantities import Block, Check, Identifier, Number, Path, Problem, Share, Text
from engine.policy.yaml_source import load
from engine.records import CATEGORIES_MAX

LISTINGS_MAX = 100
GONE_BY = {"lists": "listed", "proxies": "proxy_ip", "places": "impossible_travel"}  # which core rule goes by a block
CORE = FilePath(__file__).with_name("core_fraud_rules.yaml")


@cache
def core_rules() -> dict[str, RuleRow]:
    """The rows of the core, as shipped."""
    return load(CORE, CoreRules).rules


Listings = Annotated[list[Listing], Field(max_length=LISTINGS_MAX)]


class Lists(Block):
    """Who is blocked, and who no rule but the block list answers."""

    block: Listings = []
    allow: Listings = []

    def entries(self) -> Iterator[tuple[bool, Listing, Entry]]:
        """(whether it is allowed, the listing, an entry of it), the block list first."""
        for allowed, listings in ((False, self.block), (True, self.allow)):
            for listing in listings:
                yield from ((allowed, listing, entry) for entry in listing.entries())


class Place(Block):
    """Degrees."""

    latitude: Annotated[Number, Field(ge=-90, le=90)]
    longitude: Annotated[Number, Field(ge=-180, le=180)]


class Fraud(Block):
    include: Literal["core"] | None = None
    appeal: Text | None = None  # how whoever is denied can have it looked at
    rules: Annotated[dict[Identifier, Rule], Field(max_length=RULES_MAX)] = {}
    lists: Lists = Lists()
    proxies: IpRanges | None = None  # IP ranges of data centres and proxies
    places: Annotated[dict[Identifier, Place], Field(max_length=CATEGORIES_MAX)] = {}
    keys: Keys = 50_000  # that the Ledger remembers of each rule
    let_through: Annotated[Share, Field(le=100_000)] = 0  # of customers: rules count them and answer nothing

    # --- what the fields come to --------------------------------------------------------------------------------------
    @property
    def core(self) -> dict[str, RuleRow]:
        """Rows of the core that are included."""
        return core_rules() if self.include == "core" else {}

    def rows(self) -> dict[str, RuleRow]:
        """Every rule with everything it has: those of the core in their order, then the policy's own."""
        own = {name: own_row(rule) for name, rule in self.rules.items() if name not in self.core}
        return {name: changed(row, self.rules.get(name)) for name, row in self.core.items()} | own

    @property
    def is_on(self) -> bool:
        """Whether any rule is."""
        return any(row.is_on for row in self.rows().values())

    def files(self) -> dict[str, str]:
        """Name and text of every file beside the policy that it names."""
        named = [*self.lists.block, *self.lists.allow, *([] if self.proxies is None else [self.proxies])]
        return {listed.file: listed.text for listed in named if listed.file is not None and listed.text is not None}

    # --- checks -------------------------------------------------------------------------------------------------------
    def cross_checks(self) -> Checks:
        yield self.rules_are_few
        for field, rule in GONE_BY.items():
            yield partial(self.has_who_goes_by_it, field, rule)
        core, rules = self.core, self.__dict__.get("rules", {})
        for name, rule in rules.items():
            checks = core_changes(rule, core[name]) if name in core else own_checks(name, rule, bool(core))
            yield from (partial(below, ("rules", name), check) for check in checks)

    def has_who_goes_by_it(self, field: str, rule: str) -> Iterator[Problem]:
        if self.include is None and field in self.model_fields_set:
            yield (field,), f"must be given only with include: core: its rule {rule} goes by it"

    def rules_are_few(self) -> Iterator[Problem]:
        own, core = [name for name in self.rules if name not in self.core], len(self.core)
        if len(own) + core > RULES_MAX:
            beside = f" beside the {core} of the core" if core else ""
            yield ("rules",), f"must have at most {RULES_MAX - core} rules of its own{beside} (got {len(own)})"


def below(path: Path, check: Check) -> Iterator[Problem]:
    """Problems of a check of a block, told by a block around it."""
    yield from (((*path, *inside), sentence) for inside, sentence in check())


def core_changes(rule: Rule, row: RuleRow) -> Checks:
    """A core rule is changed within what it is; what counts something else is another rule."""
    yield partial(meaning_is_kept, rule)
    yield partial(only_its_bounds, rule, row)
    yield partial(judges_among, rule, row)


def meaning_is_kept(rule: Rule) -> Iterator[Problem]:
    for field in MEANING:
        if rule.given(field):
            yield (field,), "must not be changed of a core rule: give a rule of your own another name"


def only_its_bounds(rule: Rule, row: RuleRow) -> Iterator[Problem]:
    for field in ALL_BOUNDS:
        if rule.given(field) and field not in BOUNDS[row.check]:
            yield (field,), not_a_bound(row.check)


def own_checks(name: str, rule: Rule, included: bool) -> Checks:
    row = own_row(rule)
    if row.count is None and row.per is None:
        yield partial(no_rule, name, included)
        return
    yield from row.row_checks()
    yield lambda: judges_among(rule, row.model_copy(update={"judges": None}))


def no_rule(name: str, included: bool) -> Iterator[Problem]:
    """A row that says too little for a rule of its own: the name of a core rule is meant."""
    if not included and name in core_rules():
        yield (), f"must be included by include: core, or have count and per (got {name})"
        return
    close = difflib.get_close_matches(name, core_rules(), 1) if included else []
    meant = f", did you mean {close[0]}?" if close else ""
    yield (), f"must be a rule of the core, or have count and per (got {name}{meant})"


def changed(row: RuleRow, change: Rule | None) -> RuleRow:
    """A core row with what the policy says of it."""
    if change is None:
        return row
    said = {name: value for name, value in change.__dict__.items() if change.given(name)}
    return row.model_copy(update=said)


def own_row(rule: Rule) -> RuleRow:
    """A rule of the policy's own; what is broken in it stays broken."""
    row = RuleRow.model_construct(**{name: value for name, value in rule.__dict__.items() if rule.given(name)})
    for name in set(Rule.model_fields) - set(rule.__dict__):
        row.__dict__.pop(name, None)
    return row
