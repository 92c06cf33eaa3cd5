"""Routes that publish a policy: one person proposes, another one approves, stages follow while guardrails hold."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from engine.policy.findings import Finding
from engine.policy.quantities import yuan_text
from engine.policy.yaml_source import DocumentError
from engine.records import SHARE_ONE
from gateway.dictionary import BodyError
from gateway.guardrails import Side
from gateway.keys import Role
from gateway.policy_bodies import Advice, Group, PolicyState, Propose, PublicationNumber, Published, RollBack
from gateway.publications import Publication, PublishingError, State, UnknownPublicationError
from gateway.publisher import Proposal, Publisher
from gateway.route import Answer, Asked, Route, Services

YAML = "application/yaml"
PUBLISHES = frozenset({Role.STRATEGIST})
SEES = frozenset({Role.STRATEGIST, Role.OPERATOR, Role.AUDITOR})
ROLLS_BACK = frozenset({Role.STRATEGIST, Role.OPERATOR})


async def policies(services: Services, asked: Asked) -> Answer:
    publisher = services.publisher
    kept = publisher.kept
    trial = kept.on_trial
    return Answer(200, PolicyState(
        policy=publisher.begun.policy.policy,
        published=kept.published[-1] if kept.published else None,
        on_trial=None if trial is None else published(publisher, trial),
        hosts_know=publisher.is_told,
        publications=[published(publisher, one) for one in kept.publications],
    ))  # fmt: skip


async def policy(services: Services, asked: Asked) -> Answer:
    return Answer(200, published(services.publisher, found(services, asked)))


async def document(services: Services, asked: Asked) -> Answer:
    return Answer(200, found(services, asked).text.encode(), content_type=YAML)


async def propose(services: Services, asked: Asked) -> Answer:
    body: Propose = asked.body
    stages = shares_of(body.stages)
    findings = await checked(services, body.policy, stages)
    proposal = Proposal(body.policy, person(asked), stages, body.hold_s * 1_000, body.least_shown, body.guardrails)
    publication = services.publisher.propose(proposal)
    asked.noted.append(f"publication {publication.number}")
    return Answer(201, published(services.publisher, publication, findings))


async def approve(services: Services, asked: Asked) -> Answer:
    publisher, publication = services.publisher, found(services, asked)
    by, decides = person(asked), publisher.kept.running
    publisher.may_approve(publication.number, by)
    findings = await checked(services, publication.text, publication.stages)
    if publisher.kept.running != decides:
        raise PublishingError("another policy decides since this was asked: ask again")
    return Answer(200, published(publisher, publisher.approve(publication.number, by), findings))


async def advance(services: Services, asked: Asked) -> Answer:
    return Answer(200, published(services.publisher, services.publisher.advance(found(services, asked).number)))


async def roll_back(services: Services, asked: Asked) -> Answer:
    publication = services.publisher.roll_back(found(services, asked).number, asked.body.why)
    return Answer(200, published(services.publisher, publication))


async def withdraw(services: Services, asked: Asked) -> Answer:
    return Answer(200, published(services.publisher, services.publisher.withdraw(found(services, asked).number)))


# --- parts ------------------------------------------------------------------------------------------------------------
def found(services: Services, asked: Asked) -> Publication:
    """Raises UnknownPublicationError; notes which it is."""
    number = msgspec.convert(asked.named["publication"], PublicationNumber, strict=False)
    asked.noted.append(f"publication {number}")
    return services.publisher.kept.of(number)


def person(asked: Asked) -> str:
    assert asked.key is not None
    return asked.key.name


async def checked(services: Services, text: str, stages: Sequence[int]) -> list[Finding]:
    """Raises BodyError with everything that is wrong with a policy."""
    try:
        return await asyncio.to_thread(services.publisher.check, text, stages)
    except DocumentError as error:
        raise BodyError([("$.policy", problem) for problem in error.problems]) from None
    except PublishingError as error:
        raise BodyError([("$.policy", reason) for reason in error.reasons]) from None


def shares_of(stages: Sequence[float]) -> list[int]:
    """Millionths. Raises BodyError."""
    shares = [round(stage * SHARE_ONE) for stage in stages]
    given = ", ".join(f"{stage:g}" for stage in stages)
    if shares[-1] != SHARE_ONE or any(one >= other for one, other in pairwise(shares)):
        raise BodyError([("$.stages", f"must ascend and end with 1, like 0.01, 0.1, 1 (got {given})")])
    return shares


def published(publisher: Publisher, one: Publication, findings: Sequence[Finding] = ()) -> Published:
    tried = one.state is State.ON_TRIAL
    return Published(
        number=one.number, state=one.state.value, proposed_by=one.by, approved_by=one.approved_by,
        proposed_ms=one.at_ms, stages=[share / SHARE_ONE for share in one.stages],
        share=one.share / SHARE_ONE if one.state in (State.ON_TRIAL, State.PUBLISHED) else 0.0,
        hosts_know=publisher.is_told, since_ms=one.since_ms or None, hold_s=one.hold_ms // 1_000,
        least_shown=one.least_shown, guardrails=one.guardrails,
        on_trial=group(one.counts.tried) if tried else None, others=group(one.counts.others) if tried else None,
        held_back_by=publisher.held_back_by(one) if tried else [], why=one.why or None,
        findings=[Advice(code=of.code, severity=of.severity, path=of.path, sentence=of.sentence, advice=of.advice)
                  for of in findings],
    )  # fmt: skip


def group(side: Side) -> Group:
    return Group(
        decisions=side.decisions, shown=side.shown, clicks=side.clicks,
        negative_feedback=side.of("negative_feedback").mean, complaints=side.of("complaints").mean,
        orders=side.discounts.count, discount_per_order=yuan_text(round(side.discounts.mean)),
    )  # fmt: skip


NUMBERED = "/v1/policies/{publication}"
RAISES = (UnknownPublicationError, PublishingError)
POLICY_ROUTES = [
    Route("GET", "/v1/policies", "Which policies decide, and what was published.", policies, SEES,
          answers={200: PolicyState}),
    Route("POST", "/v1/policies", "Proposes a policy; another person has to approve it.", propose, PUBLISHES, Propose,
          {201: Published}, body_max=1024 * 1024, is_audited=True,
          examples={"in three stages": {"policy": "policy: …"}}),
    Route("GET", NUMBERED, "How far a publication has come, and what it does.", policy, SEES, answers={200: Published},
          raises=(UnknownPublicationError,)),
    Route("GET", NUMBERED + "/document", "Its policy, as it was proposed.", document, SEES, answers={200: bytes},
          raises=(UnknownPublicationError,), gives=(YAML,)),
    Route("POST", NUMBERED + "/approve", "Begins its first stage. Not by whoever proposed it.", approve, PUBLISHES,
          answers={200: Published}, raises=RAISES, is_audited=True),
    Route("POST", NUMBERED + "/advance", "Begins its next stage, where guardrails hold.", advance, PUBLISHES,
          answers={200: Published}, raises=RAISES, is_audited=True),
    Route("POST", NUMBERED + "/roll-back", "Everybody has what they had before, at once.", roll_back, ROLLS_BACK,
          RollBack, {200: Published}, raises=RAISES, is_audited=True),
    Route("POST", NUMBERED + "/withdraw", "It is not to be published.", withdraw, PUBLISHES, answers={200: Published},
          raises=RAISES, is_audited=True),
]  # fmt: skip
