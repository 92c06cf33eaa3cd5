"""The support bot: its base, how well it sorts what it has not learnt, and what a desk draws from."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.policy.yaml_source import DocumentError, load_text
from scenarios import commands
from scenarios.answering import BASE, Bot, answered, judged, judgement, load_bot, questions_of
from scenarios.answers_document import CAUSES, AnswerBase
from sim.answers import Outcome, Question, Questions
from sim.contacts import Cause

ANSWERS_LEAST = 250

# What the library's base is held to; a little below what `windtunnel answer --judge` says.
ROUTINE_RIGHT_LEAST, WRONG_MOST, STRANGERS_ANSWERED_MOST = 0.85, 0.055, 0.25


@pytest.fixture(scope="module")
def bot() -> Bot:
    return load_bot()


def misses(bot: Bot) -> list[str]:
    """What of the bar a bot does not clear."""
    found = judgement(bot)
    strangers = found["strangers"]
    checks = {
        "routine questions sorted rightly": found["routine"]["right"] >= ROUTINE_RIGHT_LEAST,
        "answered wrongly": found["all"]["wrong"] <= WRONG_MOST,
        "strangers passed on": len(strangers["answered"]) <= STRANGERS_ANSWERED_MOST * strangers["questions"],
    }
    return [name for name, holds in checks.items() if not holds]


# --- the base of the library ------------------------------------------------------------------------------------------
def test_the_base_is_large(bot: Bot) -> None:
    answers = bot.base.answers.values()
    assert len(answers) >= ANSWERS_LEAST
    assert 0.75 <= sum(answer.routine for answer in answers) / len(answers) < 1
    assert sum(len(answer.held_out) for answer in answers) >= 2 * len(answers)


def test_held_out_questions_are_sorted(bot: Bot) -> None:
    assert misses(bot) == []


def test_shuffled_labels_are_seen(bot: Bot) -> None:
    """With each answer's learnt phrasings under its neighbour, next to nothing is right."""
    answers = list(bot.base.answers.items())
    turned = {
        name: answer.model_copy(update={"asked": other.asked})
        for (name, answer), (_, other) in zip(answers, answers[1:] + answers[:1], strict=True)
    }
    shuffled = Bot.of(bot.base.model_copy(update={"answers": turned}))
    assert "routine questions sorted rightly" in misses(shuffled)
    assert judgement(shuffled)["all"]["right"] < 0.05


def test_a_bot_that_is_always_sure_is_seen(bot: Bot) -> None:
    assert "strangers passed on" in misses(replace(bot, base=bot.base.model_copy(update={"sure_from": 0})))


def test_the_same_base_sorts_the_same(bot: Bot) -> None:
    assert judged(Bot.of(bot.base)) == judged(bot)


@pytest.mark.parametrize("question", ["?!", "券", "qwertz", "券" * 10_000, "\u0000"])
def test_what_is_no_question_is_passed_on(bot: Bot, question: str) -> None:
    assert answered(bot, question)["outcome"] == "passed_on"


# --- what a desk draws from -------------------------------------------------------------------------------------------
def test_every_held_out_question_of_a_cause_is_drawn(bot: Bot) -> None:
    questions = questions_of(bot)
    assert set(questions.of_cause) == set(Cause) == set(CAUSES.values())
    for cause in Cause:
        asked = questions.of_cause[cause]
        drawn = [questions.drawn(cause, (n + 0.5) / len(asked)) for n in range(len(asked))]
        assert tuple(drawn) == asked and len(asked) >= 15
        assert questions.drawn(cause, 0.0) == asked[0] and questions.drawn(cause, 1 - 2**-53) == asked[-1]
        assert all(cause.name.lower() in bot.base.topics[one.topic].causes for one in asked)
    assert {one.outcome for asked in questions.of_cause.values() for one in asked} == set(Outcome)


def test_shares_of_a_cause() -> None:
    rows = ((True, Outcome.RIGHT), (True, Outcome.WRONG), (True, Outcome.PASSED_ON), (False, Outcome.RIGHT))
    asked = tuple(Question("q", "a", "t", routine, outcome) for routine, outcome in rows)
    questions = Questions({0: asked, 1: asked[3:]})
    assert (questions.routine(0), questions.closed(0)) == (0.75, 1 / 3)
    assert (questions.routine(1), questions.closed(1)) == (0.0, 1.0)


# --- documents --------------------------------------------------------------------------------------------------------
SMALL = """\
sure_from: 60%
topics:
  coupons: {title: Coupons, chinese: 券, causes: [complaint, claim_refused]}
  cards: {title: Cards, chinese: 卡, causes: [payment_failed, incident, denied]}
answers:
  expired:
    topic: coupons
    title: Expired
    asked: [券过期了, 券失效, 过了有效期]
    tried: [券到期了]
    held_out: [过期券, 券超过日期]
    says: 过期的券不能恢复。
  lost:
    topic: cards
    title: Lost
    asked: [卡丢了, 卡不见了, 挂失]
    tried: [卡找不到]
    held_out: [丢了卡, 卡被偷]
    says: 请挂失。
  apply:
    topic: cards
    title: Applying
    routine: false
    asked: [办卡, 申请信用卡, 想要一张新卡]
    tried: [怎么办卡]
    held_out: [申请卡片, 办信用卡]
    says: 请提交申请。
"""

WRONG = [
    (
        "topic: cards\n    title: L",
        "topic: card\n    title: L",
        ":14: answers.lost.topic must be one of topics: coupons, ",
    ),
    ("[卡丢了, 卡不见了, 挂失]", "[卡丢了, 挂失]", ":16: answers.lost.asked must have at least 3 entries (got 2)"),
    (
        "卡找不到",
        "卡丢了！",
        ":17: answers.lost.tried[0] must be asked once (got 卡丢了！, which answers.lost.asked has)",
    ),
    (
        "丢了卡",
        "券 失效。",
        ":18: answers.lost.held_out[0] must be asked once (got 券 失效。, which answers.expired.as",
    ),
    ("卡被偷", "“…”", ":18: answers.lost.held_out[1] must have a letter or a digit (got “…”)"),
    ("丢了卡, 卡被偷", "丢了卡", ":18: answers.lost.held_out must have at least 2 entries (got 1)"),
    ("请挂失。", "过期的券不能恢复", ":19: answers.lost.says must be of this answer alone (got that of expired)"),
    ("title: Lost", "title: expired", ":15: answers.lost.title must be of this answer alone (got that of expired)"),
    ("  lost:", "  expired:", ":13: answers.expired must be given once (got it in lines 6 and 13)"),
    ("payment_failed, ", "", ":2: topics must be asked about for each cause (got no topic for payment_fa"),
    ("denied]", "refused]", ":4: topics.cards.causes[2] must be one of complaint, payment_failed, claim_refused, de"),
    ("sure_from: 60%", "sure_from: 0.6", ":1: sure_from must be a share like 5% or 0.5% (got 0.6)"),
    (
        "answers:",
        "  gifts: {title: Gifts, chinese: 礼}\nanswers:",
        ":5: topics.gifts must be the topic of an answer (got",
    ),
]


@pytest.mark.parametrize(("old", "new", "problem"), WRONG)
def test_what_is_wrong_with_a_base(old: str, new: str, problem: str) -> None:
    assert SMALL.count(old) == 1
    with pytest.raises(DocumentError) as error:
        load_text(SMALL.replace(old, new), "base.yaml", AnswerBase)
    assert any(told.startswith(f"base.yaml{problem}") for told in error.value.problems), error.value.problems


def test_words_that_mean_the_same_are_read_as_one() -> None:
    base = load_text(SMALL + "alike: {券: [优惠券, 优惠, 劵]}\n", "base.yaml", AnswerBase)
    assert [base.reader()(text) for text in ("优惠券 用", "劵用！", "优惠用")] == ["券用"] * 3
    assert load_text(SMALL, "base.yaml", AnswerBase).reader()("优惠ＡB？") == "优惠ab"


# --- the command ------------------------------------------------------------------------------------------------------
def test_the_command_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "base.yaml"
    path.write_text(SMALL, "utf-8")
    assert commands.answer("我的卡丢了", path, False, True) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["outcome"], said["says"]) == ("answered", "请挂失。")
    assert said["candidates"][0] == {"answer": "lost", "title": "Lost", "topic": "cards"}
    assert len(said["candidates"]) == 3 and 0.6 < said["chance"] < 1
    assert commands.answer(None, path, True, False) == 0
    assert "3 answers" in capsys.readouterr().out


def test_wrong_use_and_every_problem_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.answer(None, None, False, False) == commands.answer("卡", None, True, False) == 2
    assert commands.answer(" ", None, False, False) == commands.answer("卡", tmp_path / "none.yaml", False, False) == 2
    path = tmp_path / "base.yaml"
    path.write_text(
        SMALL.replace("丢了卡", "券失效").replace("60%", "0.6").replace("title: Lost", "title: Expired"), "utf-8"
    )
    capsys.readouterr()
    assert commands.answer("卡", path, False, False) == 2
    said = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[0] for line in said[:-1]] == [f"{path}:{line}" for line in (1, 15, 18)]
    assert said[-1] == "3 problems; nothing was run."


def test_the_base_is_where_the_package_data_are() -> None:
    assert BASE.is_file() and BASE.parts[-3:] == ("library", "support", "answers.yaml")
