"""What a team does all day: tags, fields, assignments, comments; and commands that must be refused."""

from schemas.ids import message_id
from tools.day.cast import WORKSPACES, Person, on
from tools.day.letters import Posted
from tools.day.stage import AGENT, API, END, KNOWN, MANAGER, OWNER, RELEASED, UNBLOCKED, Stage
from tools.day.tape import HOUR, MINUTE, SECOND, Json, stamp

# Whose block would change the answer to a command, depending on which comes first.
_BLOCKABLE = frozenset({
    "spammer", "nuisance", "mistaken", "blocked late", "tangled", "removed", "blocked with a hold", "parent run",
})  # fmt: skip
_TAGS = ("dringend", "récurrent", "лид", "حساس", "वीआईपी", "優先", "🔥", "retour", "newsletter 2026")
_COMMANDS = (
    ("add_tag", 26), ("remove_tag", 4), ("update_contact", 18), ("assign_conversation", 16), ("comment", 14),
    ("close_conversation", 12), ("snooze_conversation", 5), ("open_conversation", 3),
)  # fmt: skip
_URN = [command for command, weight in _COMMANDS for _ in range(weight)]


def everyday(stage: Stage) -> None:
    for workspace in WORKSPACES:
        people = [
            person
            for person in stage.cast.people[workspace.id]
            if person.role not in _BLOCKABLE and person.known_at is not None and person.known_at < KNOWN
        ]
        for _ in range(140):
            _one(stage, stage.dice.pick(people), stage.moment(KNOWN + MINUTE, END - HOUR))
        _impossible(stage, people)
        _refusals(stage, people)


def releases(stage: Stage, mistaken: list[Person], dropped: dict[Person, list[Posted]]) -> None:
    """What was dropped by mistake is released: by time, or message by message, or not at all."""
    for number, person in enumerate(mistaken):
        if number % 5 == 4:
            stage.tape.seen("mistake that is not released")
            continue
        stage.tape.seen("dropped messages released")
        span: Json = {"from": stamp(10 * HOUR), "to": stamp(15 * HOUR)}
        if number % 5 == 2:
            span = {"message_ids": [_message_id(posted) for posted in dropped[person]]}
        stage.on_person(stage.moment(UNBLOCKED + MINUTE, RELEASED - MINUTE), person, "release_dropped", MANAGER, span)


def _message_id(posted: Posted) -> str:
    workspace_id, channel_id = posted.person.workspace.id, posted.person.channel.id
    return str(message_id(workspace_id, channel_id, "in", posted.provider_id))


def _one(stage: Stage, person: Person, at: int) -> None:
    command = stage.dice.pick(_URN)
    given = stage.on_person(at, person, command, stage.dice.pick((AGENT, AGENT, MANAGER)), _fields(stage, command, at))
    if stage.dice.chance(0.02):
        stage.again(at + stage.dice.between(SECOND, HOUR), given, f"{person.channel.kind}:{person.address}")


def _fields(stage: Stage, command: str, at: int) -> Json:
    match command:
        case "add_tag" | "remove_tag":
            return {"tag": stage.dice.pick(_TAGS)}
        case "update_contact":
            return {"set": _changes(stage)}
        case "assign_conversation":
            return {"assignee": stage.dice.pick(("ana.agent", "šárka.agent", "ラン", None))}
        case "comment":
            return {"text": stage.dice.pick(("bitte prüfen", "проверено ✅", "要確認", "مكرر؟", "ok"))}
        case "snooze_conversation":
            return {"until": stamp(at + stage.dice.between(1, 72) * HOUR)}
        case _:
            return {}


def _changes(stage: Stage) -> Json:
    number = stage.dice.digits(7)
    return stage.dice.pick((
        {"first_name": "Zoë", "last_name": "O’Brien-Łuczak"},
        {"country": "DE", "language": "de"},
        {"custom.Kundennummer": stage.dice.between(1000, 9999), "custom.newsletter": True},
        {"custom.プラン": stage.dice.pick(("梅", "竹", "松"))},
        {"phone": f"+49 30 {number}"},
        {"email": f"Privat.{number}@Example.org"},
        {"assignee": None, "custom.newsletter": None},
    ))  # fmt: skip


def _impossible(stage: Stage, people: list[Person]) -> None:
    """Readable, but wrong in a field: refused as invalid, no dead letters."""
    workspace_id = people[0].workspace.id
    wrong: tuple[tuple[str, Json], ...] = (
        ("block_contact", {}),
        ("add_tag", {"identity": people[0].identity}),
        ("block_contact", {"identity": people[1].identity, "contact_id": stage.dice.uuid()}),
        ("configure_workspace", {"set": {"anchor_day": 42}}),
        ("release_dropped", {"identity": people[2].identity, "from": stamp(9 * HOUR)}),
    )
    for command, fields in wrong:
        stage.tape.seen("command with wrong fields")
        stage.command(stage.moment(KNOWN, END - HOUR), workspace_id, "wrong", command, OWNER, fields)


def _refusals(stage: Stage, people: list[Person]) -> None:
    workspace_id, dice = people[0].workspace.id, stage.dice
    restricted = MANAGER | {"restrictions": ["settings", "contact_deletion"]}
    away = AGENT | {"module": "contacts"}
    one, other = dice.uuid(), dice.uuid()
    phones = [person for person in people if on("whatsapp", "sms")(person)]
    at = stage.moment(KNOWN + MINUTE, END - HOUR)
    stage.tape.seen("command that is refused", "command that is refused")
    stage.on_person(at, dice.pick(people), "block_contact", away)
    stage.on_person(at, dice.pick(phones), "update_contact", AGENT, {"set": {"phone": "ruf mich an"}})
    for command, actor, fields in (
        ("define_status", restricted, {"name": "eigener Status", "protected": True}),
        ("delete_contacts", restricted, {"all": True, "expected_count": 1}),
        ("delete_contacts", OWNER | {"module": "contacts"}, {"all": True, "expected_count": 1}),
        ("merge_contacts", MANAGER, {"survivor_id": one, "loser_id": one}),
        ("merge_contacts", MANAGER, {"survivor_id": one, "loser_id": other}),
        ("undo_merge", MANAGER, {"merge_id": other}),
        ("set_profile_status", API, {"profile_id": "kd-none", "status": "gibt es nicht"}),
        ("configure_workspace", MANAGER, {"set": {"anchor_day": 15}}),
    ):
        stage.tape.seen("command that is refused")
        stage.command(stage.moment(KNOWN + MINUTE, END - HOUR), workspace_id, "various", command, actor, fields)
