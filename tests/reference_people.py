"""Part of the reference model: what people write into contacts, and whether a conversation is open."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from tests.facts import Command, Message
from tests.reference_times import Interval, event_time, inside, issued, stamp

CHANNEL_SAYS: Final[dict[str, dict[str, str]]] = {
    "ana": {"phone": "+4915112345678", "country": "DE"},
    "mex": {"phone": "+525541637145", "country": "MX"},
    "sms": {"phone": "+4915112345678", "country": "DE"},
    "eve": {"email": "eve@example.org"},
}
"""What follows from each person's address."""

WRONG: Final = object()
OWN: Final = ("first_name", "last_name", "country", "language", "email", "phone", "assignee")


def details(person: str, commands: Sequence[Command], called: str | None) -> dict[str, Any]:
    """The contact's fields: each as written last by hand, else as the channel says; `custom` has the others."""
    latest: dict[str, tuple[tuple[datetime, UUID], Any]] = {}
    for command in commands:
        values = {name: stored(name, value) for name, value in _written(command).items()}
        if WRONG in values.values():
            continue
        for name, value in values.items():
            if name not in latest or latest[name][0] < stamp(command):
                latest[name] = stamp(command), value
    by_hand = {name: value for name, (_, value) in latest.items() if value is not None}
    said = CHANNEL_SAYS.get(person, {}) | ({"first_name": called} if called is not None else {})
    own = {name: by_hand.get(name, said.get(name)) for name in OWN}
    custom = {name.removeprefix("custom."): v for name, v in by_hand.items() if name.startswith("custom.")}
    return own | {"custom": custom}


def stored(name: str, value: Any) -> Any:
    """A value as it is kept, or WRONG; the histories use these values only."""
    if (name, value) in (("country", "Wakanda"), ("custom.seats", "many")):
        return WRONG
    if name == "country" and value is not None:
        return value.upper()
    if name == "email" and value is not None:
        return value.lower()
    return value.replace(" ", "") if name == "phone" and value is not None else value


def tags(commands: Sequence[Command]) -> list[str]:
    latest: dict[str, tuple[tuple[datetime, UUID], bool]] = {}
    for command in commands:
        given = command.fields
        for tag in [*given.get("tags", ()), *([given["tag"]] if "tag" in given else ())]:
            if tag not in latest or latest[tag][0] < stamp(command):
                latest[tag] = stamp(command), command.command != "remove_tag"
    return sorted(tag for tag, (_, has) in latest.items() if has)


def conversation(
    said: Sequence[Message], commands: Sequence[Command], history: Sequence[Interval], now: datetime
) -> str:
    """The status, by going through what happened in its order. At one instant: messages, blocks, commands by their ids.

    A command inside a block is refused, and a snooze of a closed conversation.
    """
    happened: list[tuple[datetime, int, UUID, Any]] = [(i.start, 1, UUID(int=0), i) for i in history]
    opening = [m for m in said if m.kind == "message" and inside(history, event_time(m)) is None]
    happened += [(event_time(m), 0, UUID(int=0), m) for m in opening]
    happened += [
        (*stamp(c)[:1], 2, c.command_id, c)
        for c in commands
        if c.command in ("open_conversation", "close_conversation", "snooze_conversation")
        and inside(history, issued(c)) is None
    ]
    is_open, snoozed_until = False, None
    for at, _, _, what in sorted(happened, key=lambda h: h[:3]):
        if isinstance(what, Command) and what.command == "snooze_conversation":
            until = datetime.fromisoformat(what.fields["until"])
            snoozed_until = until if is_open and until > at else snoozed_until
        else:
            is_open = isinstance(what, Message) or (isinstance(what, Command) and what.command == "open_conversation")
            snoozed_until = None
    if history and history[-1].end is None:
        return "blocked"
    if not is_open:
        return "closed"
    return "snoozed" if snoozed_until is not None and snoozed_until > now else "open"


def _written(command: Command) -> dict[str, Any]:
    if command.command == "assign_conversation":
        return {"assignee": command.fields["assignee"]}
    if command.command in ("update_contact", "create_contact"):
        values: dict[str, Any] = command.fields.get("set", {})
        return values
    return {}
