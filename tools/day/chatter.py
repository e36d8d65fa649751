"""What people write over the day of their own accord, and everything that goes wrong between provider and topic."""

from dataclasses import replace

from tools.day.cast import WORKSPACES, Cast, Person, Workspace
from tools.day.letters import Posted, soon
from tools.day.stage import CONFIGURED, END, KNOWN, Stage
from tools.day.tape import HOUR, MINUTE, SECOND
from tools.day.voices import REACTIONS

_DAYTIME = {"nordwind": (5, 22), "lumen-br": (9, 24), "sakura-travel": (0, 15), "masala-care": (1, 18)}


def everybody_writes(stage: Stage) -> None:
    """Invents the people of all workspaces and lets each write one to three times."""
    for workspace in WORKSPACES:
        stage.cast.populate(workspace)
        _testers(stage.cast, workspace)
        people = list(stage.cast.people[workspace.id])
        for person in people:
            person.keyless = stage.dice.chance(0.01)
            _day_of(stage, person)
        _twins(stage, people)


def _day_of(stage: Stage, person: Person) -> None:
    low, high = _DAYTIME[person.workspace.id]
    if stage.dice.chance(0.66):
        _visit(stage, person, stage.moment(CONFIGURED + SECOND, KNOWN - 5 * MINUTE))
    else:
        _visit(stage, person, stage.moment(low * HOUR + CONFIGURED, high * HOUR - 30 * MINUTE))
    for _ in range(stage.dice.pick((0, 0, 0, 1, 1, 2))):
        _visit(stage, person, stage.moment(max(low * HOUR, KNOWN), high * HOUR - 30 * MINUTE))


def _visit(stage: Stage, person: Person, start: int) -> None:
    at = start
    for _ in range(stage.dice.pick((1, 2, 2, 3))):
        _write(stage, person, at)
        at += stage.dice.between(4 * SECOND, 90 * SECOND)


def _write(stage: Stage, person: Person, at: int) -> None:
    dice = stage.dice
    lot = dice.below(1000)
    content = stage.pen.content(person)
    if lot < 25 and person.last_id is not None and person.channel.kind in {"whatsapp", "messenger", "instagram"}:
        reaction = {"type": "text", "text": dice.pick(REACTIONS), "reply_to": person.last_id}
        posted = stage.letters.post(person, at, reaction, kind="reaction")
    elif lot < 55:
        stage.tape.seen("event minutes to hours before its arrival")
        received = at - dice.between(5, 900)
        posted = stage.letters.post(person, at, content, received - dice.between(10 * MINUTE, 6 * HOUR))
    elif lot < 75:
        stage.tape.seen("without sent_at")
        posted = stage.letters.post(person, at, content, left_out="sent_at")
    elif lot < 100:
        stage.tape.seen("arrives out of order")
        received = at - dice.between(5, 900)
        posted = stage.letters.post(person, at + dice.between(MINUTE, 20 * MINUTE), content, received_at=received)
    elif lot < 110:
        posted = _wrong_clock(stage, person, at)
    elif lot < 130:
        posted = stage.letters.post(person, at, content, kind="echo")
    else:
        posted = stage.letters.post(person, at, content)
    _retry(stage, posted)


def _wrong_clock(stage: Stage, person: Person, at: int) -> Posted:
    content = stage.pen.content(person)
    match stage.dice.below(3):
        case 0:
            stage.tape.seen("sent_at in the future")
            return stage.letters.post(person, at, content, at + stage.dice.between(2 * MINUTE, 26 * HOUR))
        case 1:
            stage.tape.seen("sent_at more than seven days old")
            return stage.letters.post(person, at, content, at - stage.dice.between(8, 40) * 24 * HOUR)
        case _:
            stage.tape.seen("received_at ahead of Kafka")
            ahead = at + stage.dice.between(6 * MINUTE, 3 * HOUR)
            return stage.letters.post(person, at, content, ahead - SECOND, received_at=ahead)


def _retry(stage: Stage, posted: Posted) -> None:
    # Without a key the repeat could overtake the original on another partition.
    if posted.person.keyless or not stage.dice.chance(0.03):
        return
    arrival = posted.arrival
    for _ in range(1 if stage.dice.chance(0.8) else 3):
        arrival = min(arrival + soon(stage.dice), END)
        stage.letters.repeat(posted, arrival)
    if stage.dice.chance(0.06):
        stage.letters.contradict(posted, min(arrival + soon(stage.dice), END), "(edited) " + posted.provider_id[-4:])


def _testers(cast: Cast, workspace: Workspace) -> None:
    """Where a workspace has a test channel, a few people try it."""
    if workspace.test_channel is None:
        return
    for _ in range(6):
        cast.add(cast.invent(workspace, workspace.test_channel)).role = "tester"


def _twins(stage: Stage, people: list[Person]) -> None:
    """Some owners of a number write from it on another kind of channel as well: two contacts until merged."""
    for person in [person for person in people if person.channel.kind == "whatsapp"][::25]:
        channel = next((channel for channel in person.workspace.channels if channel.kind == "sms"), person.channel)
        twin = replace(person, channel=channel, forms=(person.address,), role="twin", known_at=None, last_id=None)
        stage.cast.add(twin)
        stage.tape.seen("one number on two kinds of channel")
        _visit(stage, twin, stage.moment(KNOWN, END - HOUR))
