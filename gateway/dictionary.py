"""Names of a policy to numbers and back, and what campaigns show."""

from collections.abc import Callable, Sequence
from copy import copy

from engine.policy.campaign import Creative
from engine.policy.tables import CompiledPolicy
from engine.records import NONE

Path = tuple[str | int, ...]
CHALLENGE_DIGITS = 12


class BodyError(Exception):
    """A body that names what the policy does not have: every problem with its path."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{path}: {message}" for path, message in problems))
        self.problems = problems


class Dictionary:
    """One policy's."""

    def __init__(self, compiled: CompiledPolicy) -> None:
        names = compiled.policy.names
        self.policy = compiled.policy
        kinds = {"page": names.pages, "city": names.cities, "tier": names.tiers, "tag": names.tags,
                 "category": names.categories, "brand": names.brands, "product": names.products,
                 "place": names.places}  # fmt: skip
        self.numbers: dict[str, dict[str, int]] = {
            kind: {name: number for number, name in enumerate(known)} for kind, known in kinds.items()
        }
        self.numbers["campaign"] = {name: compiled.registry.slots[name] for name in compiled.policy.campaigns}
        self.numbers["coupon"] = compiled.coupons
        self.rules = compiled.rules
        self.campaigns = {slot: name for name, slot in compiled.registry.slots.items()}  # of policies before, too
        self.coupons = {slot: name for name, slot in compiled.registry.coupons.items()}

    def with_names_of(self, other: "Dictionary") -> "Dictionary":
        """Knows the names of both, which have the same numbers."""
        both = copy(other)
        both.numbers = {kind: self.numbers[kind] | known for kind, known in other.numbers.items()}
        both.rules = self.rules | other.rules
        return both

    def creative(self, campaign: str, arm: int) -> tuple[str | None, Creative]:
        """Name of an arm, if the campaign has arms, and what it shows."""
        found = self.policy.campaigns[campaign]
        if not found.arms:
            assert found.creative is not None
            return None, found.creative
        return found.arms[arm].name, found.arms[arm].creative


class Challenges:
    """Names under which callers are told fraud rules' challenges: nobody learns the rule from one."""

    def __init__(self, dictionary: Dictionary, token: Callable[[str], bytes]) -> None:
        """token: a keyed hash, which only this gateway can compute; ids of customers have no space."""
        self.rules = {slot: name for name, slot in dictionary.rules.items()}
        self.by_rule = {name: token(f"challenge {name}").hex()[:CHALLENGE_DIGITS] for name in dictionary.rules}
        self._slots = {self.by_rule[name]: slot for name, slot in dictionary.rules.items()}

    def slot(self, challenge: str) -> int:
        """Of the rule. Raises BodyError."""
        if challenge not in self._slots:
            raise BodyError([("$.challenge", f"must be a challenge that a refusal named (got {challenge})")])
        return self._slots[challenge]


class Names:
    """Looks names up, and remembers every one that is unknown."""

    def __init__(self, dictionary: Dictionary) -> None:
        self.dictionary = dictionary
        self.problems: list[tuple[str, str]] = []

    def number(self, kind: str, name: str | None, *path: str | int) -> int:
        """Number of a name; NONE without one, or where the policy does not have it."""
        if name is None:
            return NONE
        known = self.dictionary.numbers[kind]
        if name not in known:
            self.problems.append((dotted(path or (kind,)), f"{self.must_be(kind)} (got {name})"))
        return known.get(name, NONE)

    def must_be(self, kind: str) -> str:
        known = list(self.dictionary.numbers[kind])
        some = ", ".join(known[:5]) + (", …" if len(known) > 5 else "")
        return f"must be a {kind} of the policy: {some}" if known else f"the policy has no {kind} to name"

    def raise_if_unknown(self) -> None:
        if self.problems:
            raise BodyError(self.problems)


def dotted(path: Sequence[str | int]) -> str:
    """$.lines[2].category"""
    return "$" + "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in path)
