"""Single sends: replies of the inbox, notices of other systems, and those that must not leave."""

from dataclasses import replace

from tools.day.cast import WORKSPACES, Person, on
from tools.day.deliveries import deliver, stopped, strays
from tools.day.stage import (
    AGENT,
    API,
    ATTACHED,
    DECIDED,
    END,
    HELD,
    KNOWN,
    RELEASED,
    SECOND_AGENT,
    UNBLOCKED,
    Sent,
    Stage,
)
from tools.day.tape import HOUR, MINUTE, SECOND, Json, stamp

_REPLIES = (
    "Gern geschehen! 😊", "Ist heute rausgegangen: https://track.example/{n}", "Um momento, por favor…",
    "担当者よりご連絡いたします。", "आपकी अपॉइंटमेंट {n} पक्की है।", "Please send us the number on the box.",
    "Ваш заказ {n} передан в доставку", "تم، شكراً لك", "정상 처리되었습니다.",
)  # fmt: skip


def replies(stage: Stage) -> None:
    """Everyday answers to people with no story of their own, on every channel, twice in the day."""
    for workspace in WORKSPACES:
        people = stage.cast.take(workspace.id, "answered", 80, KNOWN)
        first = [_reply(stage, person, _in_phase(stage, number)) for number, person in enumerate(people)]
        gone = _stopped_us(stage, first)
        for number, person in enumerate(people, 1):
            if person not in gone:
                _reply(stage, person, _in_phase(stage, number))
        strays(stage, first[:2])
        _echoes(stage, [sent for sent in first if sent.arrival < HELD and on("messenger", "instagram")(sent.person)])


def _in_phase(stage: Stage, number: int) -> int:
    low, high = ((ATTACHED, HELD), (DECIDED, UNBLOCKED), (RELEASED, END - HOUR))[number % 3]
    return stage.moment(low + MINUTE, high - MINUTE)


def _stopped_us(stage: Stage, sents: list[Sent]) -> list[Person]:
    """Some recipients block the channel at noon; what is sent to them afterwards is refused."""
    answered = [sent for sent in sents if sent.arrival < HELD and on("whatsapp")(sent.person)][:3]
    stopped(stage, answered, HELD + 5 * MINUTE)
    gone = [sent.person for sent in answered]
    refused(stage, gone, DECIDED, UNBLOCKED, "who stopped us")
    return gone


def notices(stage: Stage) -> None:
    """Another system informs people on the numbers it has, in the form it has them."""
    for workspace in WORKSPACES[:2]:
        for person in stage.cast.take(workspace.id, "informed", 30, KNOWN, on("sms", "email")):
            at = stage.moment(ATTACHED + MINUTE, HELD - MINUTE)
            text = f"Code {stage.dice.digits(6)}"
            address = stage.dice.pick(person.forms)
            if address != person.address:
                stage.tape.seen("send to a number as it is written locally")
            content: Json = {"type": "text", "text": text}
            deliver(stage, stage.send(at, person, content, "api", API, address=address), at)


def confirmed_inline(stage: Stage, people: list[Person]) -> None:
    """The alert was answered before the send was asked for: by the sender, or by a colleague."""
    for number, person in enumerate(people):
        at = stage.moment(ATTACHED + MINUTE, HELD - MINUTE)
        confirmer = AGENT if number % 2 else SECOND_AGENT
        confirmation = {"confirmed_by": confirmer["id"], "confirmed_at": stamp(at - 5 * SECOND)}
        stage.tape.seen("confirmed inline")
        stage.send(at, person, _content(stage, person), "inbox", AGENT, {"confirmation": confirmation})


def held_for_good(stage: Stage, people: list[Person]) -> None:
    """Protected, and nobody answers the alert today."""
    for person in people:
        stage.send(stage.moment(ATTACHED, HELD - MINUTE), person, _content(stage, person), "inbox", AGENT)


def refused(stage: Stage, people: list[Person], low: int, high: int, why: str) -> None:
    """Sends between two moments to people who must not be written to."""
    for person in people:
        stage.tape.seen(f"send to somebody {why}")
        stage.send(stage.moment(low + MINUTE, high - MINUTE), person, _content(stage, person), "inbox", AGENT)


def to_strangers(stage: Stage) -> None:
    """Nobody ever wrote from these: on some kinds of channel that makes a contact, on the others it is refused."""
    for workspace in WORKSPACES:
        for channel in workspace.channels:
            stranger = stage.cast.invent(workspace, channel)
            stage.tape.seen("send to an unknown address")
            at = stage.moment(ATTACHED + MINUTE, HELD - MINUTE)
            stage.send(at, stranger, _content(stage, stranger), "inbox", AGENT)
    mailbox = replace(stage.cast.invent(WORKSPACES[0], WORKSPACES[0].channel("mail-hallo")), address="kein-at-zeichen")
    for person, address in ((mailbox, mailbox.address), (mailbox, "zwei@@example.org")):
        stage.tape.seen("send to a bad address")
        stage.send(
            stage.moment(ATTACHED + MINUTE, HELD - MINUTE),
            person,
            _content(stage, person),
            "inbox",
            AGENT,
            address=address,
        )


def after_the_mistake(stage: Stage, people: list[Person]) -> None:
    """Once unblocked: new sends go, those requested while the block held do not."""
    for number, person in enumerate(people):
        at = stage.moment(RELEASED + MINUTE, RELEASED + HOUR)
        if number % 4 == 0:
            stage.tape.seen("requested while blocked")
            stale = {"requested_at": stamp(12 * HOUR + number * MINUTE)}
            stage.send(at, person, _content(stage, person), "inbox", AGENT, stale)
        else:
            _reply(stage, person, at)


def opted_in_again(stage: Stage, people: list[Person]) -> None:
    for person in people:
        _reply(stage, person, stage.moment(DECIDED + MINUTE, UNBLOCKED - MINUTE))


def _reply(stage: Stage, person: Person, at: int) -> Sent:
    sent = stage.send(at, person, _content(stage, person), "inbox", stage.dice.pick((AGENT, SECOND_AGENT)))
    if stage.dice.chance(0.02):
        stage.resend(sent, at + 3 * SECOND)
    deliver(stage, sent, at)
    return sent


def _content(stage: Stage, person: Person) -> Json:
    text = stage.dice.pick(_REPLIES).replace("{n}", stage.dice.digits(5))
    content: Json = {"type": "text", "text": text}
    if person.channel.kind == "email":
        content["subject"] = "Re: " + text[:20]
    elif person.last_id is not None and stage.dice.chance(0.3):
        content["reply_to"] = person.last_id
    return content


def _echoes(stage: Stage, sents: list[Sent]) -> None:
    """Some providers echo what went out through their own API: the message is there already."""
    for sent in sents:
        stage.echoes_of_sends += 1
        stage.tape.seen("echo of a send")
        at = stage.moment(DECIDED + MINUTE, UNBLOCKED - MINUTE)
        stage.receipt(sent.arrival + 9 * SECOND, sent, "sent", sent.arrival + 8 * SECOND)
        stage.letters.post(sent.person, at, sent.value["content"], kind="echo", provider_id=sent.provider_id)
