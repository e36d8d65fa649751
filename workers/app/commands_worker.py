"""The worker of contacts.commands: applies each command once, by families of commands that belong together.

Commands of different targets have no order between them, so the families run one after the other: settings, custom
fields, details of contacts, customers, blocks, conversations, answers to holds, words about ambiguous sends, owners of
addresses, deletions. So an answer sees the protections of its batch. Within a family the order of the records holds.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from schemas.commands import Command, InvalidCommand
from schemas.decoding import decode_command
from schemas.routing import key_begins
from workers.billing import closing_by_command
from workers.commands import audit
from workers.commands.command_record import CommandRecord
from workers.commands.refusals import (
    ANSWERING,
    AUDITED,
    BLOCKING,
    CLOSING,
    CONFIGURING,
    CUSTOMERS,
    DELETING,
    DETAILS,
    MOVING,
    OWNING,
    SETTLING,
    TALKING,
    WRITING,
    refusal,
)
from workers.commands.targets import Targets, resolve
from workers.contacts import blocking, conversations, deleting, details, fitting, ownership, profiles
from workers.process.tasks import paced
from workers.records import Batch, Output
from workers.rules.results import Done, Result
from workers.runtime.worker_spec import WorkerSpec
from workers.sends import hold_answers, settling
from workers.store import commands, workspaces
from workers.store.commands import Answered, CommandKey, CommandRow
from workers.store.connection import Connection
from workers.store.workspaces import Workspace
from workers.workspaces import configuring


async def apply(tx: Connection, batch: Batch[Command | InvalidCommand]) -> list[Output]:
    """Applies one poll of commands. Returns their events, then every command's result, in the order of the records.

    Raises:
        RetryBatch: another transaction applied one of the commands, or created the same row, meanwhile.
    """
    asked = [CommandRecord(position, record) for position, record in enumerate(batch.records)]
    answered = await commands.find(tx, {a.key for a in asked})
    first: dict[CommandKey, CommandRecord[Any]] = {}
    for a in asked:
        if a.key not in answered:
            first.setdefault(a.key, a)
    outputs: list[Output] = []
    if first:
        new = list(first.values())
        rows: list[CommandRow] = []
        for turn in _turns(new):
            results, targets, events = await _carry_out(tx, turn, batch.now)
            rows += [audit.row(a, targets, results[a.key]) async for a in paced(turn)]
            answered |= {a.key: Answered(a.name, results[a.key], batch.now) for a in turn}
            outputs += events
        await commands.add(tx, rows, batch.now)
    return outputs + [audit.event(a, answered[a.key]) async for a in paced(asked)]


SPEC = WorkerSpec("commands", {"contacts.commands": decode_command}, apply, key_begins=key_begins)


def _turns(new: Sequence[CommandRecord[Any]]) -> Iterator[list[CommandRecord[Any]]]:
    """Commands that are looked up together. Where an address or a contact's id may lead elsewhere after a command, the
    following ones of its workspace are looked up after it.
    """
    turn: list[CommandRecord[Any]] = []
    moved: set[str] = set()
    for a in new:
        moves = isinstance(a.command, MOVING)
        if a.command.workspace_id in moved and not moves:
            yield turn
            turn, moved = [], set()
        turn.append(a)
        if moves:
            moved.add(a.command.workspace_id)
    if turn:
        yield turn


async def _carry_out(
    tx: Connection, new: Sequence[CommandRecord[Any]], now: datetime
) -> tuple[dict[CommandKey, Result], Targets, list[Output]]:
    results: dict[CommandKey, Result] = {a.key: refused for a in new if (refused := refusal(a)) is not None}
    due = [a for a in new if a.key not in results]
    configured = _among(due, CONFIGURING)
    tenants = await _tenants(tx, new, configured)
    if configured:
        results |= await configuring.carry_out(tx, configured, tenants, now)
        tenants = await workspaces.lock(tx, tenants)
    results |= {a.key: Done() for a in _among(due, AUDITED)}
    results |= await closing_by_command.carry_out(tx, _among(due, CLOSING), tenants, now)
    # Before the contacts: a command that does not fit makes none.
    fitted = await fitting.fit(tx, _among(due, WRITING), tenants)
    results |= fitted.results
    due = [a for a in due if a.key not in results]

    docket = await hold_answers.load_subjects(tx, _among(due, ANSWERING))
    leaving = await profiles.contacts_to_detach(tx, due)
    doomed = await deleting.contacts_to_delete(tx, _among(due, DELETING))
    people = docket.people | await settling.people_of(tx, _among(due, SETTLING))
    targets = await resolve(tx, new, {a.key for a in due}, tenants, leaving | doomed, people)
    results = {**targets.refused, **results}
    due = [a for a in due if a.key not in results]
    outputs: list[Output] = []
    if asked := _among(due, DETAILS):
        results |= await details.carry_out(tx, asked, targets, fitted)
    if asked := _among(due, CUSTOMERS):
        stored = [fitted.profiles.get(a.key, a) for a in asked]
        results |= await profiles.carry_out(tx, stored, targets, leaving)
    if blocked := _among(due, BLOCKING):
        carried, outputs = await blocking.carry_out(tx, blocked, targets, tenants, now)
        results |= carried
    if asked := _among(due, TALKING):
        results |= await conversations.carry_out(tx, asked, targets, now)
    if docket.answers:
        carried, events = await hold_answers.carry_out(tx, docket, now)
        results |= carried
        outputs += events
    if asked := _among(due, SETTLING):
        carried, events = await settling.carry_out(tx, asked, now)
        results |= carried
        outputs += events
    if asked := _among(due, OWNING):
        carried, events = await ownership.carry_out(tx, asked, targets, tenants, now)
        results |= carried
        outputs += events
    if asked := _among(due, DELETING):
        carried, events = await deleting.carry_out(tx, asked, now)
        results |= carried
        outputs += events
    return results, targets, outputs


async def _tenants(
    tx: Connection, new: Sequence[CommandRecord[Any]], configured: Sequence[CommandRecord[Any]]
) -> Mapping[str, Workspace]:
    ids = {a.command.workspace_id for a in new}
    # All in one statement with one lock strength: sharing some and then locking others deadlocks with another batch.
    return await workspaces.lock(tx, ids) if configured else await workspaces.share(tx, {(i, "", "") for i in ids})


def _among(asked: Sequence[CommandRecord[Any]], kinds: tuple[type, ...]) -> list[CommandRecord[Any]]:
    return [a for a in asked if isinstance(a.command, kinds)]
