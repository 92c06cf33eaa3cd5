"""What is said of policies that are published, as JSON. Shares are parts of 1; money is yuan as text."""

from typing import Annotated

from msgspec import Meta, Struct, field

from gateway.guardrails import Guardrails

PublicationNumber = Annotated[int, Meta(ge=1, le=10**9, description="Of a publication.")]
Share = Annotated[float, Meta(gt=0, le=1)]


class Propose(Struct, forbid_unknown_fields=True, kw_only=True):
    """A policy that is to decide instead of the present one."""

    policy: Annotated[str, Meta(min_length=1, max_length=500_000, description="The document, YAML.")]
    stages: Annotated[list[Share], Meta(min_length=1, max_length=10)] = field(default_factory=lambda: [0.01, 0.1, 1.0])
    hold_s: Annotated[int, Meta(ge=0, le=30 * 86_400, description="So long at least lasts each stage.")] = 3_600
    least_shown: Annotated[int, Meta(ge=0, le=10_000_000, description="Messages of it, in each stage.")] = 1_000
    guardrails: Guardrails = field(default_factory=Guardrails)


class RollBack(Struct, forbid_unknown_fields=True, kw_only=True):
    """Why it is taken back, for whoever reads the log."""

    why: Annotated[str, Meta(min_length=1, max_length=500)]


class Advice(Struct, kw_only=True):
    """What lint says of a policy."""

    code: str
    severity: str
    path: str
    sentence: str
    advice: str


class Group(Struct, kw_only=True):
    """What became of those on trial, or of the others, since the present stage began."""

    decisions: int
    shown: int
    clicks: int
    negative_feedback: float  # closes, mutes and complaints per message shown
    complaints: float
    orders: int
    discount_per_order: str


class Published(Struct, kw_only=True, omit_defaults=True):
    """A publication."""

    number: int
    state: str
    proposed_by: str
    approved_by: str | None = None
    proposed_ms: int
    stages: list[float]
    share: float  # of the customers for whom it decides
    hosts_know: bool  # all of them decide by that
    since_ms: int | None = None
    hold_s: int
    least_shown: int
    guardrails: Guardrails
    on_trial: Group | None = None
    others: Group | None = None
    held_back_by: list[str] = []  # why there cannot be a next stage yet
    why: str | None = None  # it was rolled back
    findings: list[Advice] = []


class PolicyState(Struct, kw_only=True):
    """Which policies decide."""

    policy: str  # its name
    published: int | None  # number of the publication that decides for everybody; null: the one it all began with
    on_trial: Published | None
    hosts_know: bool
    publications: list[Published]
