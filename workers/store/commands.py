"""Commands and their results: one row for each command, whichever partitions it came on."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from workers.errors import RetryBatch
from workers.rules.results import Done, Refused, Result
from workers.store.arrays import columns
from workers.store.connection import Connection, changed_rows
from workers.store.queries import load

_SQL = load("commands")

CommandKey = tuple[str, UUID]
"""(workspace_id, command_id)."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A command that has its result."""

    command: str
    result: Result
    applied_at: datetime


@dataclass(frozen=True, slots=True)
class CommandRow:
    """A line of the audit log. `target`: JSON text of what the command named. `issued_at`: None if unreadable."""

    workspace_id: str
    command_id: UUID
    command: str
    actor_id: str
    actor_role: str
    actor_module: str
    target: str | None
    issued_at: datetime | None
    result: Result


_HEAD = tuple(f.name for f in fields(CommandRow) if f.name != "result")


async def find(tx: Connection, keys: Iterable[CommandKey]) -> dict[CommandKey, Answered]:
    """The commands among `keys` that were already applied."""
    rows = await tx.fetch(_SQL["find"], *columns(sorted(set(keys)), 2))
    return {(row["workspace_id"], row["command_id"]): _answered(row) for row in rows}


async def add(tx: Connection, rows: Iterable[CommandRow], now: datetime) -> None:
    """Stores the results of commands that were applied at `now`.

    Raises:
        RetryBatch: another transaction applied one of them meanwhile.
    """
    ordered = sorted(rows, key=lambda r: (r.workspace_id, r.command_id))
    values = [(*(getattr(r, name) for name in _HEAD), *_outcome(r.result)) for r in ordered]
    if values:
        status = await tx.execute(_SQL["add"], *columns(values, 12), now)
        require_all(status, len(values))


async def forget(tx: Connection, applied_before: datetime, limit: int) -> int:
    """Deletes commands that were applied before that time, at most `limit`, the oldest. Returns how many."""
    return changed_rows(await tx.execute(_SQL["forget"], applied_before, limit))


def require_all(status: str, expected: int) -> None:
    """Checks that an INSERT … ON CONFLICT DO NOTHING stored all rows; `status` is PostgreSQL's answer.

    Raises:
        RetryBatch: another transaction stored one of the rows first.
    """
    if changed_rows(status) != expected:
        raise RetryBatch("a row of this batch was stored by another transaction")


def _outcome(result: Result) -> tuple[str, str | None, str | None, str]:
    match result:
        case Done(changed):
            return "done", None, None, msgspec.json.encode(changed).decode()
        case Refused(reason, detail):
            return "refused", reason, detail, "{}"


def _answered(row: Any) -> Answered:
    refused = row["outcome"] == "refused"
    # Refusals of earlier versions have no detail.
    result = Refused(row["reason"], row["detail"] or "") if refused else Done(msgspec.json.decode(row["changed"]))
    return Answered(row["command"], result, row["applied_at"])
