"""Rivals: the policies that are lived side by side, by file, by leaving campaigns out, or by fields set otherwise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine.policy.campaign import Arm, Holdout
from engine.policy.checks import known
from engine.policy.document import Policy
from engine.policy.fraud_rules import Rule
from engine.policy.yaml_source import NO_CHANGES, DocumentError, file_text, read, read_text
from engine.records import SHARE_ONE
from scenarios.build import misfits
from scenarios.document import Variant, Without
from scenarios.load import LoadedScenario, renumbered

NOBODY, EVERYBODY = 0, SHARE_ONE
RULES_OFF = "rules_off"  # the rival against which fraud rules are judged


@dataclass(frozen=True)
class Rival:
    """A policy under a name of its own; `paused`: campaigns it does without."""

    name: str
    policy: Policy
    source: str
    paused: tuple[str, ...] = ()
    text: str = ""  # of a file of its own

    def files(self) -> dict[str, str]:
        """Name and text of its file, and of the files of lists beside it."""
        return {"policy.yaml": self.text} | self.policy.fraud.files()

    def paused_after(self, loaded: LoadedScenario) -> tuple[str, ...]:
        """What is paused once the campaign is over: whatever customers did not live under before."""
        return tuple(dict.fromkeys((*self.paused, *new_campaigns(self.policy, loaded))))


def new_campaigns(policy: Policy, loaded: LoadedScenario) -> tuple[str, ...]:
    if isinstance(loaded.scenario.baseline, Without):
        known_before = set(loaded.policy.campaigns) - set(loaded.scenario.baseline.without)
    else:
        known_before = set(loaded.baseline.campaigns)
    return tuple(name for name in policy.campaigns if name not in known_before)


def own(loaded: LoadedScenario) -> Rival:
    """The scenario's own policy."""
    return Rival(loaded.policy.policy, loaded.policy, loaded.sources["policy"])


# --- by file, without, set --------------------------------------------------------------------------------------------
def from_file(path: Path, name: str, loaded: LoadedScenario, changes: Mapping[str, str] = NO_CHANGES) -> Rival:
    """Raises DocumentError."""
    found = read(path, Policy, changes)
    return fitting(Rival(name, found.document, found.source, text=file_text(path)), loaded)


def with_fields(changes: Mapping[str, str], name: str, loaded: LoadedScenario) -> Rival:
    """The scenario's own policy with some fields set otherwise. Raises DocumentError."""
    before = {path.removeprefix("policy."): text for path, text in loaded.changes.items() if path.startswith("policy.")}
    text = loaded.texts["policy.yaml"]
    changes = {**before, **dict(written(path, value, loaded.policy) for path, value in changes.items())}
    found = read_text(text, str(loaded.sources["policy"]), Policy, changes)
    return fitting(Rival(name, found.document, found.source), loaded)


def written(path: str, value: str, policy: Policy) -> tuple[str, str]:
    """A field of a core rule that the policy's file says nothing of has no line yet: it gets one."""
    *head, name, field = path.split(".") if path.count(".") == 3 else ("", "", path)
    if head != ["fraud", "rules"] or name in policy.fraud.rules or name not in policy.fraud.rows():
        return path, value
    row = f"{{{field}: {value}}}"
    return (f"fraud.rules.{name}", row) if policy.fraud.rules else ("fraud.rules", f"{{{name}: {row}}}")


def varied(field: str, values: Sequence[str], loaded: LoadedScenario) -> list[Rival]:
    """One rival a value of a field of the scenario's own policy; where it is one of the fraud rules', one without any
    rule beside them. Raises DocumentError with the problems of all values."""
    found, problems = [], []
    stem = field.removeprefix("policy.").replace("fraud.rules.", "")
    for value in values:
        try:
            found.append(with_fields({field.removeprefix("policy."): value}, identifier(f"{stem}_{value}"), loaded))
        except DocumentError as error:
            problems += error.problems
    if problems:
        raise DocumentError(problems)
    return [*found, without_rules([], RULES_OFF, loaded)] if field.startswith(("fraud.", "policy.fraud.")) else found


def identifier(text: str) -> str:
    """Letters, digits and underscores."""
    return "".join(letter if letter.isalnum() else "_" for letter in text.lower()).strip("_")


def without(names: Sequence[str], name: str, loaded: LoadedScenario) -> Rival:
    """Raises DocumentError where a campaign or coupon is unknown."""
    have, whose = list(loaded.policy.campaigns), "the policy's campaigns"
    if loaded.policy.coupons:
        have, whose = [*have, *loaded.policy.coupons], "the policy's campaigns and coupons"
    problems = [sentence for word in names for _, sentence in known(word, (), whose, have)]
    if problems:
        raise DocumentError(f"{loaded.path}: without {sentence}" for sentence in problems)
    return replace(own(loaded), name=name, paused=tuple(names))


def without_rules(names: Sequence[str], name: str, loaded: LoadedScenario) -> Rival:
    """The scenario's own policy with these fraud rules off; with none named, all of them. Raises DocumentError."""
    fraud = loaded.policy.fraud
    rows = fraud.rows()
    problems = [sentence for word in names for _, sentence in known(word, (), "the policy's fraud rules", list(rows))]
    if not rows:
        problems = ["rules must be of a policy that has some under fraud (got none)"]
    if problems:
        raise DocumentError(f"{loaded.path}: without {sentence}" for sentence in problems)
    off = {rule: fraud.rules.get(rule, Rule()).model_copy(update={"mode": "off"}) for rule in names or rows}
    policy = loaded.policy.model_copy(update={"fraud": fraud.model_copy(update={"rules": {**fraud.rules, **off}})})
    return replace(own(loaded), name=name, policy=policy)


def rules_left_out(loaded: LoadedScenario) -> list[Rival]:
    """Leave-one-out, rule by rule of those that answer, and the policy without any."""
    answering = [name for name, row in loaded.policy.fraud.rows().items() if row.mode in (None, "active")]
    return [
        without_rules([], RULES_OFF, loaded),
        *(without_rules([name], f"without_rule_{name}", loaded) for name in answering),
    ]


def fitting(rival: Rival, loaded: LoadedScenario) -> Rival:
    """A rival that the population can live under. Raises DocumentError."""
    problems = [("names", f"must fit the population: {p} {s}") for p, s in misfits(loaded.population, rival.policy)]
    problems += renumbered(rival.policy, loaded.baseline)
    if problems:
        raise DocumentError.at(rival.source, problems)
    return rival


def made_names(loaded: LoadedScenario) -> set[str]:
    """Names that the worlds of a scenario already have: its own policy's, and those of twins and arms."""
    reference, names = own(loaded), {loaded.policy.policy}
    for campaign in loaded.scenario.compare.truth:
        names |= {rival.name for rival in (*twins(reference, campaign), *arm_twins(reference, campaign))}
    return names


def variants(loaded: LoadedScenario) -> list[Rival]:
    """The policies that the scenario compares with its own. Raises DocumentError with every problem."""
    found, problems = [], []
    for name in sorted(made_names(loaded) & set(loaded.scenario.compare.policies)):
        problems.append(f"{loaded.path}: compare.policies.{name} must be a name of its own (got {name} again)")
    for name, variant in loaded.scenario.compare.policies.items():
        try:
            found.append(variant_of(name, variant, loaded))
        except DocumentError as error:
            problems += [f"{problem} (in compare.policies.{name})" for problem in error.problems]
    if problems:
        raise DocumentError(problems)
    return found


def variant_of(name: str, variant: str | Variant, loaded: LoadedScenario) -> Rival:
    if isinstance(variant, str):
        return from_file(loaded.path.parent / variant, name, loaded)
    if variant.policy is not None:
        return from_file(loaded.path.parent / variant.policy, name, loaded)
    if variant.without is not None:
        return without(variant.without, name, loaded)
    if variant.without_rules is not None:
        return without_rules(variant.without_rules, name, loaded)
    return with_fields(variant.set or {}, name, loaded)


def left_out(loaded: LoadedScenario) -> list[Rival]:
    """Leave-one-out, campaign by campaign, and the policy without any."""
    campaigns = list(loaded.policy.campaigns)
    return [
        *(without([name], f"without_{name}", loaded) for name in campaigns),
        without(campaigns, "without_all", loaded),
    ]


# --- twins of one campaign --------------------------------------------------------------------------------------------
def held_out_from(rival: Rival, campaign: str, share: int, name: str) -> Rival:
    """The same policy with another share held out of one campaign, and nobody held out of everything."""
    block = rival.policy.campaigns[campaign]
    holdout = block.holdout or Holdout.model_construct(share=share)
    holdout = holdout.model_copy(update={"share": share})
    campaigns = {**rival.policy.campaigns, campaign: block.model_copy(update={"holdout": holdout})}
    policy = rival.policy.model_copy(update={"campaigns": campaigns, "universal_holdout": None})
    return replace(rival, name=name, policy=policy)


def twins(rival: Rival, campaign: str) -> tuple[Rival, Rival]:
    """The twin worlds of a campaign: shown to everybody, held out from everybody."""
    shown = held_out_from(rival, campaign, NOBODY, f"shown_{campaign}")
    return shown, held_out_from(rival, campaign, EVERYBODY, f"held_out_{campaign}")


def arm_twins(rival: Rival, campaign: str) -> list[Rival]:
    """For each arm a world in which everybody has it; none where there is a single creative."""
    shown, _ = twins(rival, campaign)
    block = shown.policy.campaigns[campaign]
    found = []
    for chosen in block.arms or []:
        arms = [arm.model_copy(update={"share": EVERYBODY if arm is chosen else NOBODY}) for arm in block.arms or []]
        found.append(replace(with_arms(shown, campaign, arms), name=f"arm_{campaign}_{chosen.name}"))
    return found


def with_arms(rival: Rival, campaign: str, arms: list[Arm]) -> Rival:
    block = rival.policy.campaigns[campaign].model_copy(update={"arms": arms})
    policy = rival.policy.model_copy(update={"campaigns": {**rival.policy.campaigns, campaign: block}})
    return replace(rival, policy=policy)
