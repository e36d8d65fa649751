"""The contacts of the histories, and their facts as records on the topics."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from tests.facts import Block, Command, Fact, Finish, Message, Setting, Start, Step
from tests.workers.records import record, uuid_of
from workers.records import Record


@dataclass(frozen=True, slots=True)
class Person:
    """One identity. `spellings` are one address; those that a channel may store as the address are among them."""

    channel: str
    channel_ids: tuple[str, ...]
    spellings: tuple[str, ...]


PEOPLE: Final = {
    "ana": Person(
        "whatsapp",
        ("wa-main", "wa-two"),
        ("+4915112345678", "4915112345678", "whatsapp:+49 151 12345678", "0049 151 12345678"),
    ),
    # providers deliver Mexican mobiles with and without the 1 that is no part of the number any more
    "mex": Person("whatsapp", ("wa-main",), ("+5215541637145", "+525541637145")),
    # the same number as ana's, but another channel is another contact
    "sms": Person("sms", ("sms-main",), ("+4915112345678", "0049-151-12345678")),
    "eve": Person("email", ("mail",), ("eve@example.org", "Eve@Example.org", " EVE@example.org", "EVE@example.org")),
    # an id that means something only within its channel: two people
    "page-a": Person("messenger", ("page-a",), ("777",)),
    "page-b": Person("messenger", ("page-b",), ("777",)),
}

TOPIC_OF: Final[Mapping[type, str]] = {
    Message: "messages.inbound",
    Block: "contacts.commands",
    Setting: "contacts.commands",
    Command: "contacts.commands",
    Start: "workflows.events",
    Step: "workflows.events",
    Finish: "workflows.events",
}


def person_of(channel: str, channel_id: str | None, address: str) -> str:
    """Who has an address as a view shows it."""
    [name] = [
        name
        for name, p in PEOPLE.items()
        if p.channel == channel and address in p.spellings and (channel != "messenger" or channel_id in p.channel_ids)
    ]
    return name


def as_record(fact: Fact, workspace_id: str, copy: int, ids: Mapping[str, UUID]) -> Record[Any]:
    """A fact as a record. `ids` are the contacts known by id; copies of one fact differ in what must not matter."""
    dice = uuid_of(f"{fact}{copy}").int
    fields: dict[str, Any] = {"workspace_id": workspace_id}
    match fact:
        case Message():
            timestamp = fact.logged_at
            fields |= _message(fact, dice)
        case Block():
            timestamp = fact.logged_at
            command = "unblock_contact" if fact.unblocks else "block_contact"
            fields |= _command(command, fact.command_id, fact.actor, fact.issued_at) | _whom(fact.person, dice, ids)
        case Command():
            timestamp = fact.logged_at
            fields |= _command(fact.command, fact.command_id, "olga", fact.issued_at) | fact.fields
            # A contact that is to be created has no id yet.
            known = {} if fact.command == "create_contact" else ids
            fields |= {} if fact.person is None else _whom(fact.person, dice, known)
        case Setting():
            timestamp = fact.issued_at
            fields |= _setting(fact)
        case Start():
            timestamp = fact.at
            fields |= {"event": "run_started", "workflow_id": "w", "trigger": fact.trigger, "at": fact.at}
            fields |= {"run_id": fact.run_id, "parent_run_id": fact.parent} | _whom(fact.person, dice, ids)
        case Step():
            timestamp = fact.at
            fields |= {"event": "step_requested", "run_id": fact.run_id, "step_id": fact.step_id, "at": fact.at}
            fields |= {"action": fact.action}
        case Finish():
            timestamp = fact.at
            fields |= {"event": "run_finished", "run_id": fact.run_id, "outcome": "completed", "at": fact.at}
    return record(TOPIC_OF[type(fact)], fields, timestamp=timestamp, partition=dice % 3)


def _message(fact: Message, dice: int) -> dict[str, Any]:
    spellings = PEOPLE[fact.person].spellings
    return {
        "channel": fact.channel,
        "channel_id": fact.channel_id,
        "provider_message_id": fact.provider_message_id,
        "sender": {"address": spellings[dice % len(spellings)], "name": fact.name},
        "sent_at": fact.sent_at,
        "received_at": fact.received_at,
        "kind": fact.kind,
        "content": {"type": "text", "text": fact.text},
    }


def _command(command: str, command_id: UUID, actor: str, issued_at: Any) -> dict[str, Any]:
    by = {"id": actor, "role": "owner", "module": "settings"}
    return {"command": command, "command_id": command_id, "actor": by, "issued_at": issued_at}


def _setting(fact: Setting) -> dict[str, Any]:
    if fact.channel_id:
        command = _command("configure_channel", fact.command_id, "owner", fact.issued_at)
        return command | {"channel_id": fact.channel_id, "channel": "whatsapp", fact.name: fact.value}
    command = _command("configure_workspace", fact.command_id, "owner", fact.issued_at)
    return command | {"set": {fact.name: fact.value}}


def _whom(person: str, dice: int, ids: Mapping[str, UUID]) -> dict[str, Any]:
    if person in ids and dice % 2:
        return {"contact_id": ids[person]}
    p = PEOPLE[person]
    address = p.spellings[dice % len(p.spellings)]
    return {"identity": {"channel": p.channel, "address": address, "channel_id": p.channel_ids[0]}}
