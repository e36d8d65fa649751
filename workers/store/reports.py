"""What an operator asks: read-only, from the public views where there is one."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from workers.runtime.batch import Connection
from workers.store.queries import load

_SQL = load("reports")

Row = Mapping[str, Any]


async def mac(tx: Connection, workspace_id: str | None, since: datetime | None, limit: int) -> list[Row]:
    """Counts of cycles that end after `since`, newest first within a workspace."""
    return list(await tx.fetch(_SQL["mac"], workspace_id, since, limit))


async def explain_mac(tx: Connection, workspace_id: str, cycle_start: datetime, contact_id: UUID) -> list[Row]:
    """A contact's messages in a cycle, the proof first."""
    return list(await tx.fetch(_SQL["explain_mac"], workspace_id, cycle_start, contact_id))


async def holds(tx: Connection, workspace_id: str | None, limit: int) -> list[Row]:
    """Sends that wait for a person, those that expire first on top. Without their text."""
    return list(await tx.fetch(_SQL["holds"], workspace_id, limit))


async def progress(tx: Connection) -> list[Row]:
    """How far each input partition is applied, and by whom."""
    return list(await tx.fetch(_SQL["progress"]))


async def dead_letters(tx: Connection) -> list[Row]:
    """Number and newest of the dead letters by status."""
    return list(await tx.fetch(_SQL["dead_letters"]))


async def backlog(tx: Connection) -> Row:
    """What is stored but not yet published or worked off."""
    row: Row = await tx.fetchrow(_SQL["backlog"])
    return row
