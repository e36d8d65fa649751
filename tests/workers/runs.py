"""Hand-made events of workflow engines, and the results of the workflows worker."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Pool

from tests.workers.records import DAY, WORKSPACE, at, batch, message, record, uuid_of
from workers.messages import worker as inbound
from workers.records import Output, Record
from workers.rules.blocks import BlockChange, Interval
from workers.rules.contact import ContactKey
from workers.store import contacts
from workers.workflows import halting, worker

ADA = "+4915112345678"
RUNS = "SELECT run_id, trigger, state, reason FROM sluice.workflow_runs ORDER BY run_id"


def event(name: str, run: str, minutes: float, partition: int = 0, **fields: Any) -> Record[Any]:
    head = {"event": name, "workspace_id": WORKSPACE, "run_id": run, "at": at(minutes)}
    return record("workflows.events", head | fields, timestamp=at(minutes), partition=partition)


def start(run: str, minutes: float, trigger: str = "automatic", **fields: Any) -> Record[Any]:
    if "contact_id" not in fields:
        fields.setdefault("identity", {"channel": "whatsapp", "address": ADA})
    return event("run_started", run, minutes, workflow_id="welcome", trigger=trigger, **fields)


def step(run: str, minutes: float, action: str = "add_tag", step_id: str = "1") -> Record[Any]:
    return event("step_requested", run, minutes, step_id=step_id, action=action)


def finish(run: str, minutes: float) -> Record[Any]:
    return event("run_finished", run, minutes, outcome="done")


async def apply(pool: Pool, *records: Record[Any]) -> list[Output]:
    async with pool.acquire() as tx, tx.transaction():
        return await worker.apply(tx, batch(*records))


async def meet(pool: Pool, address: str = ADA, **fields: Any) -> ContactKey:
    """Make a contact, as its first message does."""
    async with pool.acquire() as tx, tx.transaction():
        [accepted] = await inbound.apply(tx, batch(message(address, **fields)))
        return WORKSPACE, UUID(msgspec.json.decode(accepted.event.value or b"")["contact_id"])


async def block(
    pool: Pool, contact: ContactKey, *intervals: tuple[float, float | None], command: str = "block"
) -> tuple[int, list[Output]]:
    """Give a contact this block history, as a command does; how many runs it halted, and the facts."""
    after = tuple(Interval(at(a), None if b is None else at(b), "ann") for a, b in intervals)
    async with pool.acquire() as tx, tx.transaction():
        before = (await contacts.lock_for_update(tx, [contact]))[contact].intervals
        await contacts.save_blocks(tx, {contact: after})
        change = BlockChange(*contact, uuid_of(command), DAY, before, after)
        halted, outputs = await halting.rejudge(tx, {contact: change}, {}, {contact: message()}, DAY)
        return halted[contact], outputs


async def rows(pool: Pool, query: str, *args: object) -> list[tuple[Any, ...]]:
    async with pool.acquire() as connection:
        return [tuple(row) for row in await connection.fetch(query, *args)]


def values(outputs: Sequence[Output]) -> list[dict[str, Any]]:
    return [msgspec.json.decode(o.event.value or b"") for o in outputs if o.event.topic == "workflows.control"]


def controls(outputs: Sequence[Output]) -> list[tuple[str, str, str | None]]:
    return [(v["run_id"], v["control"], v["reason"]) for v in values(outputs)]
