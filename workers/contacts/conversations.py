"""Opens, closes and snoozes conversations, and writes comments."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec.structs import replace

from schemas.contact_commands import CloseConversation, Comment, OpenConversation, SnoozeConversation
from workers.commands.command_record import CommandRecord
from workers.commands.targets import Targets
from workers.messages import recounting
from workers.process.tasks import paced
from workers.records import Event
from workers.rules import conversations as rules
from workers.rules.contact import ContactKey
from workers.rules.conversations import Conversation
from workers.rules.results import Done, Refused, Result, nobody
from workers.services.job_runner import Job, Unfinished
from workers.store import blocks, contacts, conversations, messages
from workers.store.commands import CommandKey
from workers.store.connection import Connection
from workers.store.conversations import Remark

_ENDED_AT_ONCE: Final = 2_000
_NO_TEXT: Final = Refused("invalid", "`text`: expected a text with visible characters")

Aimed = Sequence[tuple[ContactKey, CommandRecord[Any]]]


async def carry_out(
    tx: Connection, asked: Sequence[CommandRecord[Any]], targets: Targets, now: datetime
) -> dict[CommandKey, Result]:
    """The results of the commands, whose contacts are locked for update. The blocks of the batch have been saved."""
    results: dict[CommandKey, Result] = {a.key: nobody(a.command) for a in asked if targets.of(a) is None}
    aimed = [(contact, a) for a in asked if (contact := targets.of(a)) is not None]
    results |= await _comment(tx, [(contact, a) for contact, a in aimed if isinstance(a.command, Comment)])
    moving = [(contact, a) for contact, a in aimed if not isinstance(a.command, Comment)]
    return results | (await _move(tx, moving, now) if moving else {})


async def end_snoozes(tx: Connection, now: datetime) -> Sequence[Event] | Unfinished:
    """Ends snoozes whose time is over: views show it at once, contacts.changes then."""
    ended = await conversations.end_snoozes(tx, now, _ENDED_AT_ONCE)
    return Unfinished() if ended == _ENDED_AT_ONCE else []


JOBS: Final = (Job("end snoozes", 1, end_snoozes),)


async def _comment(tx: Connection, aimed: Aimed) -> dict[CommandKey, Result]:
    results: dict[CommandKey, Result] = {a.key: _NO_TEXT for _, a in aimed if not a.command.text.strip()}
    written = [(contact, a) for contact, a in aimed if a.key not in results]
    remarks = [Remark(*contact, a.stamp.at, a.stamp.by, a.command.actor.id, a.command.text) for contact, a in written]
    await conversations.add_comments(tx, remarks)
    return results | {a.key: Done({"message_id": a.command.command_id}) for _, a in written}


async def _move(tx: Connection, aimed: Aimed, now: datetime) -> dict[CommandKey, Result]:
    people = await contacts.read(tx, {contact for contact, _ in aimed})
    people = await blocks.reaching(tx, people, ((contact, a.stamp.at) for contact, a in aimed))
    before = await _with_newest_messages(tx, aimed, await conversations.load(tx, people))
    after = dict(before)
    results: dict[CommandKey, Result] = {}
    async for contact, a in paced(aimed):
        results[a.key], after[contact] = _decide(after[contact], a, people[contact].intervals, now)
    changed = {key: c for key, c in after.items() if c != before[key]}
    shown = {
        key
        for key, c in changed.items()
        if rules.status(c, people[key].intervals, now) != rules.status(before[key], people[key].intervals, now)
    }
    await conversations.save(tx, changed, shown)
    await contacts.mark_unpublished(tx, shown)
    return results


def _decide(
    conversation: Conversation, a: CommandRecord[Any], intervals: Sequence[Any], now: datetime
) -> tuple[Result, Conversation]:
    match a.command:
        case SnoozeConversation(until=until):
            return rules.snooze(conversation, a.stamp, until, intervals, now)
        case command:
            opens = isinstance(command, OpenConversation)
            return rules.move(conversation, a.stamp, intervals, now, opens=opens)


async def _with_newest_messages(
    tx: Connection, aimed: Aimed, known: Mapping[ContactKey, Conversation]
) -> dict[ContactKey, Conversation]:
    """The conversations, each with its newest message after the first closing or snooze of the batch. A message that
    found the conversation open left no trace in it.
    """
    first: dict[ContactKey, CommandRecord[Any]] = {}
    for contact, a in aimed:
        ends = isinstance(a.command, CloseConversation | SnoozeConversation)
        if ends and (contact not in first or a.stamp < first[contact].stamp):
            first[contact] = a
    if not first:
        return dict(known)
    witnesses, undecided = await messages.opening_messages(tx, {key: a.stamp.at for key, a in first.items()})
    for key in undecided:
        await recounting.leave(tx, key, first[key].stamp.at, first[key].command.command_id)
    found = {key: replace(known[key], opened_at=_later(known[key].opened_at, at)) for key, at in witnesses.items()}
    return {**known, **found}


def _later(known: datetime | None, found: datetime) -> datetime:
    return found if known is None else max(known, found)
