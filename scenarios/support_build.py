"""The support desk of a population as a plan, and as the array by which its customers get in touch."""

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np

from engine.records import DAY_MS, MINUTE_MS, SHARE_ONE, records
from scenarios.support_document import Granted, ShiftBlock, Support, Upheld
from sim.answers import Questions
from sim.cohort import Spans
from sim.contacts import SUPPORT, Cause
from sim.desk import ByTruth, DeskPlan, Shift


def support_row(support: Support | None) -> np.ndarray:
    """The SUPPORT row of a document; no row where there is none. Who appeals is said with the origins: all of them."""
    table = records(0 if support is None else 1, SUPPORT)
    if support is not None:
        for cause in (Cause.COMPLAINT, Cause.PAYMENT_FAILED, Cause.CLAIM_REFUSED):
            table[0].rates[cause] = getattr(support.contacts, cause.name.lower()) / SHARE_ONE
        table[0].rates[Cause.DENIED] = 1.0
    return table


def desk_plan(support: Support, spans: Spans, stream: tuple[int, int]) -> DeskPlan:
    """The desk opens at launch. stream: study seed, replication."""
    bot, people, video = support.bot, support.reviewers, support.video
    routine = {cause: getattr(bot.asked, cause.name.lower(), 0) / SHARE_ONE for cause in Cause}
    return DeskPlan(
        hotline=shifts_of(support.hotline.shifts),
        video=shifts_of(video.shifts if video else ()),
        reviewers=shifts_of(people.shifts),
        day_ms=spans.launch,
        routine=routine,
        bot_helps=bot.helps / SHARE_ONE,
        bot_answer_ms=bot.answers_after,
        by_video=video.share / SHARE_ONE if video else 0.0,
        service_ms=support.hotline.takes,
        video_ms=video.takes if video else 0.0,
        patience_ms=support.patience,
        comes_back=support.comes_back.share / SHARE_ONE,
        back_after_ms=support.comes_back.after,
        appeal_ms=people.appeal_takes,
        review_ms=people.claim_takes,
        upheld=by_truth(people.upheld),
        granted=by_truth(people.granted),
        questions=library_questions if bot.base else None,
        stream=stream,
    )


@cache
def library_questions() -> Questions:
    """Sorted once in a process, and only where they are asked: it takes a second, and scikit-learn another."""
    from scenarios.answering import load_bot, questions_of

    return questions_of(load_bot())


def by_truth(truths: Upheld | Granted) -> ByTruth:
    return ByTruth(truths.honest / SHARE_ONE, truths.fraud / SHARE_ONE)


def shifts_of(blocks: Sequence[ShiftBlock]) -> tuple[Shift, ...]:
    return tuple(shift for block in blocks for shift in shifts_of_a_day(block))


def shifts_of_a_day(block: ShiftBlock) -> Iterator[Shift]:
    """One that goes on past midnight is two."""
    begins, ends = block.from_ * MINUTE_MS, block.until * MINUTE_MS
    if begins < ends:
        yield Shift(begins, ends, block.seats)
        return
    yield Shift(begins, DAY_MS, block.seats)
    if ends > 0:
        yield Shift(0, ends, block.seats)
