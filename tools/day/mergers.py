"""People who turn out to be one: their contacts are merged, write on, and some of the merges are undone."""

from tools.day.cast import Person, on
from tools.day.stage import DECIDED, END, HELD, KNOWN, MANAGER, RELEASED, UNBLOCKED, Stage
from tools.day.tape import HOUR, MINUTE, SECOND, Json

_PAIRS = (("nordwind", 6), ("lumen-br", 4), ("masala-care", 4))
_CHOICES: tuple[Json, ...] = (
    {},
    {"choices": {"first_name": "loser", "last_name": "loser"}},
    {"choices": {"phone": "loser"}},
)


def merges(stage: Stage) -> None:
    """Every second merge is undone in the evening, and once more in vain."""
    for workspace_id, pairs in _PAIRS:
        people = stage.cast.take(workspace_id, "merged", 2 * pairs, KNOWN, on("whatsapp", "sms"))
        for number in range(pairs):
            _merge(stage, number, people[2 * number], people[2 * number + 1])


def _merge(stage: Stage, number: int, survivor: Person, loser: Person) -> None:
    workspace_id, key = survivor.workspace.id, f"{survivor.channel.kind}:{survivor.address}"
    kept, lost = stage.named(survivor), stage.named(loser)
    at = stage.moment(HELD + MINUTE, DECIDED - HOUR)
    fields = {"survivor_id": kept.id, "loser_id": lost.id, **_CHOICES[number % len(_CHOICES)]}
    merge = stage.command(
        at, workspace_id, key, "merge_contacts", MANAGER, fields, contacts=kept.address | lost.address
    )
    stage.tape.seen("contacts merged")
    if stage.dice.chance(0.3):
        stage.again(at + SECOND, merge, key, contacts=kept.address | lost.address)
    for person in (survivor, loser):
        stage.letters.post(person, stage.moment(DECIDED + MINUTE, UNBLOCKED - MINUTE), stage.pen.content(person))
    if number % 2:
        stage.tape.seen("merge undone")
        undo = {"merge_id": merge["command_id"]}
        stage.command(
            stage.moment(UNBLOCKED + MINUTE, RELEASED - MINUTE), workspace_id, key, "undo_merge", MANAGER, undo
        )
        stage.command(stage.moment(RELEASED + MINUTE, END - HOUR), workspace_id, key, "undo_merge", MANAGER, undo)
        stage.tape.seen("command that is refused")
    stage.letters.post(loser, stage.moment(RELEASED + MINUTE, END - HOUR), stage.pen.content(loser))
