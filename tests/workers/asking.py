"""Commands as producers write them, and a way to pass them to the commands worker."""

from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Pool

from tests.workers.records import WORKSPACE, at, batch, record, uuid_of
from workers.app import commands_worker
from workers.records import Output, Record

_numbers = count(1)


def ask(
    command: str,
    *,
    minutes: float = 0,
    command_id: UUID | None = None,
    workspace_id: str = WORKSPACE,
    role: str = "owner",
    module: str = "api",
    actor: str = "olga",
    restrictions: list[str] | None = None,
    partition: int = 0,
    timestamp: datetime | None = None,
    **fields: Any,
) -> Record[Any]:
    head = {
        "command_id": command_id or uuid_of(f"command {next(_numbers)}"),
        "workspace_id": workspace_id,
        "command": command,
        "actor": {"id": actor, "role": role, "module": module, "restrictions": restrictions},
        "issued_at": at(minutes),
    }
    return record("contacts.commands", head | fields, timestamp=timestamp or at(minutes), partition=partition)


def by_phone(address: str, channel: str = "whatsapp") -> dict[str, str]:
    return {"channel": channel, "address": address}


async def give(pool: Pool, *records: Record[Any], now: datetime | None = None) -> list[Output]:
    """All outputs of the worker for one poll."""
    async with pool.acquire() as tx, tx.transaction():
        return await commands_worker.apply(tx, batch(*records, now=now))


async def results(pool: Pool, *records: Record[Any], now: datetime | None = None) -> list[Any]:
    """What became of each command: what it changed, or why it was refused."""
    return said(await give(pool, *records, now=now))


def said(outputs: list[Output]) -> list[Any]:
    values = [msgspec.json.decode(o.event.value or b"") for o in outputs if o.event.topic == "commands.results"]
    return [v["changed"] if v["outcome"] == "done" else v["reason"] for v in values]


def details(outputs: list[Output]) -> list[str | None]:
    """What the results of commands say for people."""
    values = [msgspec.json.decode(o.event.value or b"") for o in outputs if o.event.topic == "commands.results"]
    return [v["detail"] for v in values]


async def rows(pool: Pool, query: str, *args: object) -> list[tuple[Any, ...]]:
    async with pool.acquire() as connection:
        return [tuple(row) for row in await connection.fetch(query, *args)]


async def contact_of(pool: Pool, phone: str, workspace_id: str = WORKSPACE) -> UUID:
    query = "SELECT contact_id FROM sluice.contact_overview WHERE workspace_id = $1 AND phone = $2"
    [(contact_id,)] = await rows(pool, query, workspace_id, phone)
    assert isinstance(contact_id, UUID)
    return contact_id
