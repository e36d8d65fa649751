"""STOP and START: people who want no more sends, words that only look like it, and what happens after a removal."""

from tools.day.cast import Person, on
from tools.day.stage import ATTACHED, DECIDED, END, HELD, KNOWN, MANAGER, RELEASED, Stage
from tools.day.tape import HOUR, MINUTE
from tools.day.voices import NO_OPT_OUT, OPT_IN, OPT_OUT

_WORDS_COUNT = on("whatsapp", "sms")


def early_optouts(stage: Stage) -> tuple[list[Person], list[Person]]:
    """Who opted out before the sends: for good, and until noon."""
    out = [
        person
        for workspace_id, count in (("nordwind", 24), ("lumen-br", 10), ("masala-care", 10))
        for person in stage.cast.take(workspace_id, "opted out", count, KNOWN, _WORDS_COUNT)
    ]
    back = stage.cast.take("nordwind", "opted in again", 8, KNOWN, _WORDS_COUNT)
    for person in out + back:
        _say(stage, person, stage.dice.pick(OPT_OUT), stage.moment(KNOWN + MINUTE, ATTACHED - MINUTE))
        stage.tape.seen("opt-out word")
    for person in back:
        _say(stage, person, stage.dice.pick(OPT_IN), stage.moment(HELD + MINUTE, DECIDED - MINUTE))
        stage.tape.seen("opt-in word")
    _almost(stage)
    return out, back


def optouts_after(stage: Stage, recipients: list[Person]) -> None:
    """People who answer a campaign with STOP, before anything else is sent to them."""
    for person in recipients:
        _say(stage, person, stage.dice.pick(OPT_OUT), stage.moment(HELD + MINUTE, DECIDED - MINUTE))
        stage.tape.seen("opt-out word")


def removed_channels(stage: Stage) -> None:
    """A number changes hands: the identity is removed and somebody writes from it again."""
    for person in stage.cast.take("nordwind", "removed", 6, KNOWN, _WORDS_COUNT):
        stage.on_person(stage.moment(HELD + MINUTE, DECIDED - MINUTE), person, "remove_channel", MANAGER)
        stage.letters.post(person, stage.moment(RELEASED, END - HOUR), stage.pen.content(person))
        stage.tape.seen("number in other hands")


def _almost(stage: Stage) -> None:
    for person in stage.cast.take("nordwind", "almost out", 10, KNOWN, _WORDS_COUNT):
        _say(stage, person, stage.dice.pick(NO_OPT_OUT), stage.moment(KNOWN + MINUTE, ATTACHED - MINUTE))
        stage.tape.seen("almost an opt-out word")
    for person in stage.cast.take("masala-care", "stop elsewhere", 4, KNOWN, on("telegram", "viber")):
        _say(stage, person, "STOP", stage.moment(KNOWN + MINUTE, ATTACHED - MINUTE))
        stage.tape.seen("opt-out word on another kind of channel")


def _say(stage: Stage, person: Person, text: str, at: int) -> None:
    # The word's own time must be in order, or a late START would undo a later STOP.
    stage.letters.post(person, at, {"type": "text", "text": text})
