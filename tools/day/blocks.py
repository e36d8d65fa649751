"""Whom nobody wants to hear from: nuisances, three waves of spam, mistakes, late and tangled block histories."""

from dataclasses import dataclass

from tools.day.cast import WORKSPACES, Channel, Person, Workspace
from tools.day.letters import Posted
from tools.day.stage import AGENT, ATTACHED, KNOWN, MANAGER, RELEASED, Stage
from tools.day.tape import HOUR, MINUTE, SECOND, Json
from tools.day.voices import SPAM

_BY_ID = {workspace.id: workspace for workspace in WORKSPACES}


@dataclass(frozen=True, slots=True)
class Wave:
    """Spam on one channel between two moments; the blocks are issued between two others."""

    workspace_id: str
    channel_id: str
    spammers: int
    start: int
    blocks_from: int
    blocks_to: int
    end: int


def _at(hour: int, minute: int) -> int:
    return hour * HOUR + minute * MINUTE


# The cycles of lumen-br change at 03:00 UTC, those of sakura-travel at 15:00 UTC.
WAVES = (
    Wave("lumen-br", "ig-lumen", 50, _at(2, 0), _at(2, 20), _at(2, 55), _at(5, 30)),
    Wave("lumen-br", "wa-lumen", 30, _at(2, 0), _at(2, 20), _at(2, 55), _at(5, 30)),
    Wave("nordwind", "wa-main", 110, _at(9, 30), _at(10, 10), _at(11, 40), _at(15, 0)),
    Wave("nordwind", "sms-de", 30, _at(9, 30), _at(10, 10), _at(11, 40), _at(15, 0)),
    Wave("sakura-travel", "line-sakura", 70, _at(14, 5), _at(14, 15), _at(14, 50), _at(16, 50)),
    Wave("sakura-travel", "wa-sakura", 20, _at(14, 5), _at(14, 15), _at(14, 50), _at(16, 50)),
)


@dataclass(frozen=True, slots=True)
class Blocked:
    """Who is blocked for good, by the phase from which a send to them must be refused."""

    before_sends: list[Person]
    spammers: dict[str, list[Person]]
    mistaken: list[Person]
    dropped_letters: dict[Person, list[Posted]]


def blocks(stage: Stage) -> Blocked:
    nuisances = [
        person
        for workspace_id, count in (("nordwind", 25), ("sakura-travel", 8), ("masala-care", 6), ("lumen-br", 6))
        for person in stage.cast.take(workspace_id, "nuisance", count, KNOWN)
    ]
    for person in nuisances:
        at = stage.moment(_at(6, 30), _at(8, 30))
        stage.on_person(at, person, "block_contact", AGENT, {"note": "beleidigend"})
    spammers: dict[str, list[Person]] = {}
    for wave in WAVES:
        spammers.setdefault(wave.workspace_id, []).extend(_wave(stage, wave))
    dropped = _mistakes(stage)
    _late(stage)
    return Blocked(nuisances, spammers, list(dropped), dropped)


def _wave(stage: Stage, wave: Wave) -> list[Person]:
    workspace = _BY_ID[wave.workspace_id]
    return [_spammer(stage, wave, workspace, workspace.channel(wave.channel_id)) for _ in range(wave.spammers)]


def _spammer(stage: Stage, wave: Wave, workspace: Workspace, channel: Channel) -> Person:
    dice = stage.dice
    person = stage.cast.add(stage.cast.invent(workspace, channel))
    person.role = "spammer"
    person.forms = person.forms[:1]
    issued = stage.moment(wave.blocks_from, wave.blocks_to)
    first = wave.start
    if dice.chance(0.15):
        stage.tape.seen("blocked before the first message")
        first = issued + MINUTE
    elif wave.start > KNOWN and dice.chance(0.5):
        stage.letters.post(person, stage.moment(KNOWN, ATTACHED - MINUTE), {"type": "text", "text": "Hi"})
    for _ in range(dice.between(6, 11)):
        _flood(stage, person, stage.moment(first, wave.end))
    _block_spammer(stage, person, issued)
    stage.tape.seen("spammer")
    return person


def _flood(stage: Stage, person: Person, at: int) -> None:
    text = stage.dice.pick(SPAM).replace("{n}", str(stage.dice.between(100, 9999)))
    lot = stage.dice.below(100)
    if lot < 2:
        stage.tape.seen("opt-out word in the flood")
        text = "STOP"
    if lot < 6:
        received = at - stage.dice.between(5, 900)
        _retold(stage, stage.letters.post(person, at, {"type": "text", "text": text}, received - 40 * MINUTE))
    elif lot < 10:
        stage.tape.seen("echo to a spammer")
        stage.letters.post(person, at, {"type": "text", "text": "Bitte lassen Sie das."}, kind="echo")
    else:
        _retold(stage, stage.letters.post(person, at, {"type": "text", "text": text}))


def _retold(stage: Stage, posted: Posted) -> None:
    if stage.dice.chance(0.03):
        stage.letters.repeat(posted, posted.arrival + stage.dice.between(SECOND, 5 * MINUTE))


def _block_spammer(stage: Stage, person: Person, issued: int) -> None:
    dice = stage.dice
    late = dice.chance(0.3)
    arrival = issued + (dice.between(5 * MINUTE, 35 * MINUTE) if late else dice.between(100, 2000))
    if late:
        stage.tape.seen("block that arrives after messages it covers")
    fields: Json = {"note": "Spam 🗑"}
    if person.channel.kind == "whatsapp" and dice.chance(0.1):
        stage.tape.seen("block by another form of the number")
        fields["identity"] = person.identity | {"address": person.address[1:]}
    command = stage.on_person(arrival, person, "block_contact", AGENT, fields, issued)
    if dice.chance(0.05):
        stage.again(arrival + 3 * SECOND, command, f"{person.channel.kind}:{person.address}")
    if dice.chance(0.05):
        stage.tape.seen("block of a blocked contact")
        stage.on_person(arrival + MINUTE, person, "block_contact", MANAGER)


def _mistakes(stage: Stage) -> dict[Person, list[Posted]]:
    """Blocked by one wrong bulk action at 10:45, unblocked at 14:30; what they wrote between."""
    people = stage.cast.take("nordwind", "mistaken", 12, KNOWN) + stage.cast.take("sakura-travel", "mistaken", 3, KNOWN)
    dropped: dict[Person, list[Posted]] = {}
    for person in people:
        stage.tape.seen("blocked by mistake")
        stage.on_person(
            _at(10, 45) + stage.dice.below(5 * SECOND), person, "block_contact", AGENT, issued_at=_at(10, 45)
        )
        dropped[person] = [
            stage.letters.post(person, stage.moment(_at(10, 50), _at(14, 20)), stage.pen.content(person))
            for _ in range(stage.dice.between(3, 6))
        ]
        unblocked = _at(14, 30) + stage.dice.below(20 * MINUTE)
        stage.on_person(unblocked, person, "unblock_contact", MANAGER)
        for _ in range(2):
            stage.letters.post(person, stage.moment(_at(15, 0), _at(16, 50)), stage.pen.content(person))
    return dropped


def _late(stage: Stage) -> None:
    """Blocks that were issued hours ago, and histories whose commands come in any order."""
    for workspace_id, count in (("nordwind", 10), ("sakura-travel", 6), ("masala-care", 6)):
        for person in stage.cast.take(workspace_id, "blocked late", count, KNOWN):
            arrival = stage.moment(_at(20, 0), _at(23, 0))
            issued = arrival - stage.dice.between(HOUR, 5 * HOUR)
            for _ in range(3):
                stage.letters.post(person, stage.moment(issued - HOUR, arrival), stage.pen.content(person))
            stage.tape.seen("block issued hours before its arrival")
            stage.on_person(arrival, person, "block_contact", AGENT, issued_at=issued)
    people = stage.cast.take("nordwind", "tangled", 6, KNOWN) + stage.cast.take("masala-care", "tangled", 6, KNOWN)
    for person, history in zip(people, _HISTORIES * 2, strict=True):
        _tangle(stage, person, history)


_B, _U = "block_contact", "unblock_contact"
# Minutes after 16:00 at which each command was issued, in the order of arrival.
_HISTORIES = (
    ((_U, 60), (_B, 0)),
    ((_B, 0), (_B, 20), (_U, 40)),
    ((_U, 30), (_B, 60), (_B, 0), (_U, 90)),
    ((_B, 30), (_U, 30)),
    ((_U, 10), (_U, 50), (_B, 0), (_B, 30)),
    ((_B, 60), (_U, 80), (_B, 0), (_U, 20)),
)


def _tangle(stage: Stage, person: Person, history: tuple[tuple[str, int], ...]) -> None:
    for _ in range(6):
        stage.letters.post(person, stage.moment(_at(15, 50), _at(18, 50)), stage.pen.content(person))
    arrival = stage.moment(RELEASED + HOUR, RELEASED + 4 * HOUR)
    stage.tape.seen("tangled block history")
    for command, minute in history:
        stage.on_person(arrival, person, command, MANAGER, issued_at=_at(16, minute))
        arrival += stage.dice.between(SECOND, 10 * MINUTE)
