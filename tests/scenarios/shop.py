"""A small policy, population and scenario that fit each other, for tests that break them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from engine.policy.yaml_source import DocumentError
from scenarios.load import LoadedScenario, Options, load_scenario
from windtunnel import app

POLICY = """\
policy: shop
time_zone: Asia/Shanghai
provider: Example Bank
names:
  pages: [home, bill, pay, done]
  cities: [beijing, wuhan]
  tiers: [gold, plain]
  tags: [thrifty]
  topics: [offers, bill]
moments:
  noon: {weekly: monday, at: "12:00"}
universal_holdout: {share: 10%}
campaigns:
  spring:
    purpose: activation
    topic: offers
    trigger: {on: page_view, pages: [home], dwell: 5s}
    goal: {event: payment, window: 3d}
    reward: 20.00
    response: {shown: 3%, otherwise: 1%}
    holdout: {share: 50%}
    arms:
      - {name: red, share: 50%, creative: {text: "20 off", ad_label: true, close: {}, mute: true, remind_later: true}}
      - {name: blue, share: 50%, creative: {text: "20 off", ad_label: true, close: {}, mute: true, remind_later: true}}
  bill_ready:
    purpose: service
    topic: bill
    channel: push
    trigger: {on: moment, moment: noon}
    goal: {event: bill_viewed, window: 3d}
    response: {shown: 8%, otherwise: 5%}
    creative: {style: plain, text: "Your bill is ready", opt_out: "Settings"}
"""
POPULATION = """\
population: people
visits:
  per_day: 1
  hours: [0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 4, 4, 5, 4, 3, 3, 3, 4, 5, 6, 6, 5, 3, 1]
enters: {home: 0.9, bill: 0.1}
pages:
  home: {stays: 20s, leads: {bill: 0.2}}
  bill: {stays: 10s, event: bill_viewed}
  pay: {stays: 5s}
  done: {stays: 5s, event: payment}
purchase_path: [pay, done]
purchases:
  unit: week
  r: 0.8
  alpha: 2
  a: 0.8
  b: 2.4
  amount: {p: 6, q: 4, gamma: 150}
cards: {unused: 20%, first_use_per_day: 0.02, prepaid: 30%, balance: 100.00}
customers:
  ages:
    - {share: 60%, from: 18, until: 40}
    - {share: 40%, from: 40, until: 80}
  cities: {beijing: 70%, wuhan: 30%}
  tiers: {gold: 10%, plain: 90%}
  tags: {thrifty: 20%}
  consents: {push: 80%}
taste: {spread: 0.5}
annoyance: {half_life: 10d, overlay: 1, leaving: 0.01}
topics:
  offers: {clicks: 30%, acts: 50%, does: payment, after: 1min, reward_half: 20.00, closes: 20%, mutes: 5%, reminds: 10%}
  bill: {clicks: 20%, acts: 90%, does: bill_viewed, brought_forward: 10%}
"""
SCENARIO = """\
scenario: spring
says: A pop-up offers 20 yuan off; half of the customers are held out.
policy: policy.yaml
baseline: {without: [spring]}
population: people.yaml
customers: 300
start: 2026-09-07
days: 3
before: 2
after: 2
primary: spring
expect:
  - exposures[spring] >= 10
  - visits_per_customer <= 50
"""
NAMES = {"policy.yaml": POLICY, "people.yaml": POPULATION, "spring.scenario.yaml": SCENARIO}
AS_WRITTEN = Options()
Edit = tuple[str, str, str]  # file, old text, new text


def write_shop(folder: Path, *edits: Edit) -> Path:
    """Write the three files with edits; returns the scenario's path."""
    texts = dict(NAMES)
    for name, old, new in edits:
        assert texts[name].count(old) >= 1, old
        texts[name] = texts[name].replace(old, new, 1)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder / "spring.scenario.yaml"


def loaded(folder: Path, *edits: Edit, options: Options = AS_WRITTEN) -> LoadedScenario:
    return load_scenario(write_shop(folder, *edits), options)


def problems(folder: Path, edits: Sequence[Edit], options: Options = AS_WRITTEN) -> list[str]:
    """What loading says, without the folder; [] if all is right."""
    try:
        loaded(folder, *edits, options=options)
    except DocumentError as error:
        return [problem.replace(f"{folder}/", "") for problem in error.problems]
    return []


# --- the command line -------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str


def cli(*words: object) -> Done:
    """Run a command in this process."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    return Done(done.exit_code, done.stdout, done.stderr)
