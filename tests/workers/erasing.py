"""Runs the job that erases deleted contacts, and looks for what is left of a person."""

import json
from collections.abc import Iterator
from typing import Any, Final

import cramjam
from asyncpg import Pool

from workers.contacts import erasing
from workers.records import Event
from workers.services.job_runner import Unfinished
from workers.store import batch_outbox
from workers.store.connection import transaction_time

_COLUMNS: Final = """
    SELECT c.table_schema, c.table_name, c.column_name FROM information_schema.columns c
    JOIN information_schema.tables t USING (table_schema, table_name)
    WHERE c.table_schema IN ('sluice', 'sluice_core') AND t.table_type = 'BASE TABLE'
        AND c.data_type IN ('text', 'json', 'jsonb', 'bytea', 'ARRAY', 'character varying')
    ORDER BY 1, 2, 3
"""


async def erase(pool: Pool, most: int = 1_000) -> list[Event]:
    """Steps of the job until nothing is left, at most that many; their events."""
    facts: list[Event] = []
    for _ in range(most):
        async with pool.acquire() as tx, tx.transaction():
            result = await erasing.erase(tx, await transaction_time(tx))
        if not isinstance(result, Unfinished):
            return facts
        facts += result.events
    return facts


async def traces(pool: Pool, *words: str, only: str | None = None) -> list[str]:
    """Where any of these words stands in the database, as table, column and word: in every column of every table that
    can hold a text, also in compressed events. `only`: in rows of this workspace, and in tables that know none.
    """
    found: set[str] = set()
    async with pool.acquire() as connection:
        columns = await connection.fetch(_COLUMNS)
        assert len(columns) > 100
        tenants = {table for _, table, column in columns if column == "workspace_id"} if only is not None else set()
        for schema, table, column in columns:
            where = "WHERE workspace_id = $1" if table in tenants else ""
            if table == "dead_letters" and only is not None:
                where = "WHERE strpos(encode(coalesce(value, key), 'escape'), $1) > 0"
            query = f'SELECT "{column}" FROM {schema}."{table}" {where}'  # noqa: S608
            for (value,) in await connection.fetch(query, *([only] if where else [])):
                said = "\n".join(_texts(value, compressed=(table, column) == ("batch_outbox", "events"))).lower()
                found |= {f"{table}.{column}: {word}" for word in words if word.lower() in said}
    return sorted(found)


def _texts(value: Any, *, compressed: bool) -> Iterator[str]:
    match value:
        case None:
            return
        case bytes() if compressed:
            for event in batch_outbox.unpack(value):
                yield from (part.decode("utf-8", "replace") for part in (event.key, event.value) if part is not None)
        case bytes():
            yield value.decode("utf-8", "replace")
            try:
                yield bytes(cramjam.zstd.decompress(value[1:])).decode("utf-8", "replace")
            except cramjam.DecompressionError:
                return
        case list():
            for each in value:
                yield from _texts(each, compressed=False)
        case _:
            text = value if isinstance(value, str) else str(value)
            yield text
            if "\\" in text:
                try:
                    yield json.dumps(json.loads(text), ensure_ascii=False)
                except ValueError:
                    return
