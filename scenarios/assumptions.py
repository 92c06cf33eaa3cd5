"""Robustness: joint draws over everything that is assumed of customers (FIDELITY 18), and where a verdict turns.

Behaviours are drawn together by a Latin hypercube (McKay, Beckman, Conover 1979, Technometrics 21: 239), each as a
factor on the population's own value, log-uniform over its range.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from engine.records import DAY_MS, SHARE_ONE
from scenarios.population_document import Population, Topic
from scenarios.study import WorldPlan
from scenarios.world_rows import Rows

Row = dict[str, Any]
SEED_MARK = 18  # draws have a stream of their own beside the study's seed
MONEY = ("profit", "spend", "rewards", "fraud_loss")


@dataclass(frozen=True)
class Behaviour:
    """What is assumed: how to scale it, its value in words' unit, and by how much it may be wrong, either way."""

    name: str
    scaled: Callable[[Population, float], Population]
    value: Callable[[Population], float | None]
    unit: str
    wrong_by: float = 1.5


def of_block(
    block: str, field: str, unit: str, scale: float = 1.0, wrong_by: float = 2.0
) -> Callable[[str], Behaviour]:
    """A number of a block of the population."""

    def value(population: Population) -> float:
        return float(getattr(getattr(population, block), field)) * scale

    def scaled(population: Population, factor: float) -> Population:
        inside = getattr(population, block)
        before = getattr(inside, field)
        after = type(before)(before * factor)
        if field == "leaving":
            after = min(after, 1.0)
        return population.model_copy(update={block: inside.model_copy(update={field: after})})

    return lambda name: Behaviour(name, scaled, value, unit, wrong_by)


def of_exposures(population: Population, factor: float) -> Population:
    """Annoyance that exposures add, whatever their style."""
    inside = population.annoyance
    styles = ("full_screen", "overlay", "banner", "plain")
    changed = inside.model_copy(update={style: getattr(inside, style) * factor for style in styles})
    return population.model_copy(update={"annoyance": changed})


def of_topics(field: str) -> Callable[[Population, float], Population]:
    """A share of every topic, at most what the others leave."""

    def scaled(population: Population, factor: float) -> Population:
        topics = {name: with_share(topic, field, factor) for name, topic in population.topics.items()}
        return population.model_copy(update={"topics": topics})

    return scaled


TOGETHER = (
    ("clicks", "closes", "mutes", "reminds", "complains"),
    ("brought_forward", "switched"),
    ("acts",),
    ("revives",),
)


def with_share(topic: Topic, field: str, factor: float) -> Topic:
    others = next(group for group in TOGETHER if field in group)
    room = SHARE_ONE - sum(getattr(topic, other) for other in others if other != field)
    return topic.model_copy(update={field: min(int(getattr(topic, field) * factor), room)})


def wear(population: Population, factor: float) -> Population:
    return population.model_copy(update={"wear_out": population.wear_out * factor})


def no_value(population: Population) -> None:
    return None


BEHAVIOURS: tuple[Behaviour, ...] = (
    of_block("annoyance", "half_life", "days", 1 / DAY_MS)("annoyance lasts"),
    Behaviour("annoyance of each message", of_exposures, no_value, "times what is assumed", 2.0),
    of_block("annoyance", "closing", "units")("annoyance of having to close"),
    of_block("annoyance", "clicks_lost", "per unit")("clicks lost to annoyance"),
    of_block("annoyance", "closes_gained", "per unit")("closes gained by annoyance"),
    of_block("annoyance", "visits_lost", "per unit")("visits lost to annoyance"),
    of_block("annoyance", "leaving", "per unit")("leaving for annoyance"),
    Behaviour("wear-out of each repetition", wear, lambda population: population.wear_out, "log appeal", 2.0),
    of_block("taste", "spread", "log appeal", 1.0, 1.5)("spread of tastes"),
    Behaviour("share who click", of_topics("clicks"), no_value, "times what is assumed"),
    Behaviour("share of clickers who act", of_topics("acts"), no_value, "times what is assumed"),
    Behaviour("share who close", of_topics("closes"), no_value, "times what is assumed"),
    Behaviour("share who mute", of_topics("mutes"), no_value, "times what is assumed"),
    Behaviour("share of purchases brought forward", of_topics("brought_forward"), no_value, "times what is assumed"),
    Behaviour("share of purchases switched", of_topics("switched"), no_value, "times what is assumed"),
    Behaviour("share of lost customers who come back", of_topics("revives"), no_value, "times what is assumed"),
)


@dataclass(frozen=True)
class Draw:
    """One joint draw: the factor on each behaviour, and the world in which it holds."""

    number: int
    factors: Mapping[str, float]
    population: Population
    plan: WorldPlan


def latin_hypercube(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """f8[rows, columns] in (0, 1): each column has one point in each of `rows` equal slices."""
    slices = np.argsort(rng.random((rows, columns)), axis=0)
    return (slices + rng.random((rows, columns))) / rows


def assumption_plans(plan: WorldPlan, count: int, customers_max: int) -> tuple[WorldPlan, list[Draw]]:
    """The same policies in smaller worlds: as the population is assumed to be, and under other assumptions."""
    rng = np.random.default_rng([plan.scenario.seed, SEED_MARK])
    points = latin_hypercube(rng, count, len(BEHAVIOURS))
    contrasts = tuple(c for c in plan.contrasts if not c.of and c.against == plan.own)
    branches = tuple(branch for branch in plan.branches if in_contrasts(branch.name, plan))
    customers = min(plan.customers, customers_max)
    small = replace(plan, branches=branches, contrasts=contrasts, truth=(), customers=customers)
    return small, [draw_of(number, row, small) for number, row in enumerate(points, 1)]


def in_contrasts(name: str, plan: WorldPlan) -> bool:
    return name == plan.own or any(c.policy == name and c.against == plan.own for c in plan.contrasts)


def draw_of(number: int, row: np.ndarray, plan: WorldPlan) -> Draw:
    factors, population = {}, plan.population
    for behaviour, point in zip(BEHAVIOURS, row.tolist(), strict=True):
        factor = math.exp((2 * point - 1) * math.log(behaviour.wrong_by))
        factors[behaviour.name] = factor
        population = behaviour.scaled(population, factor)
    return Draw(number, factors, population, replace(plan, population=population))


@dataclass(frozen=True)
class Drawn:
    """A draw that was lived, and the same world as it is assumed to be."""

    draw: Draw
    rows: Rows
    as_assumed: Rows


def judged_draws(
    drawn: Sequence[Drawn], own: str, measure: str, headline: Mapping[str, Row], matters: float
) -> tuple[list[Row], list[Row]]:
    """Rows of `assumptions` and `assumption_results`: does each draw point where the headline points?"""
    assumptions: list[Row] = []
    results: list[Row] = []
    for lived in drawn:
        assumptions += assumption_rows(lived.draw)
        for policy, row in headline.items():
            before, after = (goal_row(rows, policy, own, measure) for rows in (lived.as_assumed, lived.rows))
            results.append(result_row(lived.draw.number, before, after, measure, row, matters))
    return assumptions, results


def assumption_rows(draw: Draw) -> Iterator[Row]:
    for behaviour in BEHAVIOURS:
        value, factor = behaviour.value(draw.population), draw.factors[behaviour.name]
        key = {"draw": draw.number, "behaviour": behaviour.name, "factor": factor, "unit": behaviour.unit}
        yield {**key, "value": factor if value is None else value}


def goal_row(rows: Rows, policy: str, own: str, measure: str) -> Row:
    key = {"policy": policy, "against": own, "of": "", "segment": "", "measure": measure}
    return next(row for row in rows["differences"] if all(row[name] == value for name, value in key.items()))


def result_row(number: int, before: Row, after: Row, measure: str, headline: Row, matters: float) -> Row:
    """What was found, moved by what the assumptions change in one and the same world: its luck cancels out."""
    scale = 100 if measure in MONEY else 1
    moved = after["total"] / after["n"] / scale - before["total"] / before["n"] / scale
    difference = (headline["value"] or 0.0) + moved
    holds = points_the_same_way(difference, headline, matters)
    return {"draw": number, "policy": after["policy"], "difference": difference, "moved": moved, "holds": holds}


def points_the_same_way(mean: float, headline: Row, matters: float) -> bool:
    """The sign of what was found; where nothing was found to matter, still nothing that matters."""
    if headline["word"] == "no difference that matters":
        return abs(mean) <= matters
    return mean * (headline["value"] or 0.0) > 0
