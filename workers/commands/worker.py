"""contacts.commands: what people ask for, carried out once, by families of commands that belong together.

Commands of different targets have no order between them, so the families run one after the other: settings, customers,
blocks, answers. Protections that come in one batch with an answer are thus known when it is judged. Within a family the
order of the records holds.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from schemas.commands import Command, InvalidCommand
from schemas.decoding import decode_command
from schemas.routing import key_begins
from workers.commands import answering, audit, blocking, configuring, customers
from workers.commands.asked import Asked
from workers.commands.refusals import ANSWERING, BLOCKING, CONFIGURING, CUSTOMERS, refusal
from workers.commands.targets import Targets, resolve
from workers.rules.results import Result
from workers.runtime.batch import Batch, Connection, Output, WorkerSpec
from workers.store import commands, workspaces
from workers.store.commands import Answered, CommandKey
from workers.store.workspaces import Workspace


async def apply(tx: Connection, batch: Batch[Command | InvalidCommand]) -> list[Output]:
    """Apply one poll of commands: the facts they lead to, then every command's result, in the order they came.

    Raises:
        RetryBatch: another transaction applied one of the commands, or made the same thing, meanwhile.
    """
    asked = [Asked(position, record) for position, record in enumerate(batch.records)]
    answered = await commands.find(tx, {a.key for a in asked})
    first: dict[CommandKey, Asked[Any]] = {}
    for a in asked:
        if a.key not in answered:
            first.setdefault(a.key, a)
    outputs: list[Output] = []
    if first:
        new = list(first.values())
        results, targets, outputs = await _carry_out(tx, new, batch.now)
        await commands.add(tx, [audit.row(a, targets, results[a.key]) for a in new], batch.now)
        answered |= {a.key: Answered(a.name, results[a.key], batch.now) for a in new}
    return [*outputs, *(audit.fact(a, answered[a.key]) for a in asked)]


SPEC = WorkerSpec("commands", {"contacts.commands": decode_command}, apply, key_begins=key_begins)


async def _carry_out(
    tx: Connection, new: Sequence[Asked[Any]], now: datetime
) -> tuple[dict[CommandKey, Result], Targets, list[Output]]:
    results: dict[CommandKey, Result] = {a.key: refused for a in new if (refused := refusal(a)) is not None}
    due = [a for a in new if a.key not in results]
    configured = _among(due, CONFIGURING)
    tenants = await _tenants(tx, new, configured)
    if configured:
        results |= await configuring.carry_out(tx, configured, tenants, now)
        tenants = await workspaces.lock(tx, tenants)

    answers = _among(due, ANSWERING)
    targets = await resolve(tx, new, {a.key for a in due}, tenants, await answering.people(tx, answers))
    outputs: list[Output] = []
    if asked := _among(due, CUSTOMERS):
        results |= await customers.carry_out(tx, asked, targets)
    if blocked := _among(due, BLOCKING):
        carried, outputs = await blocking.carry_out(tx, blocked, targets, now)
        results |= carried
    if answers:
        carried, facts = await answering.carry_out(tx, answers, now)
        results |= carried
        outputs += facts
    return results, targets, outputs


async def _tenants(
    tx: Connection, new: Sequence[Asked[Any]], configured: Sequence[Asked[Any]]
) -> Mapping[str, Workspace]:
    ids = {a.command.workspace_id for a in new}
    # All of them in one statement and one strength: sharing some and then locking others meets another batch half-way.
    return await workspaces.lock(tx, ids) if configured else await workspaces.share(tx, {(i, "", "") for i in ids})


def _among(asked: Sequence[Asked[Any]], kinds: tuple[type, ...]) -> list[Asked[Any]]:
    return [a for a in asked if isinstance(a.command, kinds)]
