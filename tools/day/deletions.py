"""People who ask to be forgotten: their contacts are deleted while they still write."""

from tools.day.cast import on
from tools.day.stage import DECIDED, END, HELD, KNOWN, OWNER, UNBLOCKED, Stage
from tools.day.tape import HOUR, MINUTE

_COUNTS = (("nordwind", 6), ("sakura-travel", 5))


def deletions(stage: Stage) -> None:
    """One command for each workspace. Who writes afterwards is somebody new."""
    for workspace_id, count in _COUNTS:
        people = stage.cast.take(workspace_id, "deleted", count, KNOWN, on("messenger", "instagram", "line", "sms"))
        named = [stage.named(person) for person in people]
        for person in people:
            for low, high in ((HELD, DECIDED), (DECIDED, UNBLOCKED), (UNBLOCKED, END - HOUR)):
                stage.letters.post(person, stage.moment(low + MINUTE, high - MINUTE), stage.pen.content(person))
        stage.tape.seen(*["contact deleted"] * count)
        fields = {"contact_ids": [each.id for each in named], "expected_count": count}
        contacts = {placeholder: address for each in named for placeholder, address in each.address.items()}
        at, owner = stage.moment(DECIDED + HOUR, UNBLOCKED - HOUR), OWNER | {"module": "contacts"}
        stage.command(at, workspace_id, "deletion", "delete_contacts", owner, fields, contacts=contacts)
