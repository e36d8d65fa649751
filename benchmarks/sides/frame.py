"""The frame: the floor's job within Sluice's engine. Everything once under any crash, and no rules at all.

What lies between it and the floor is the price of the promise: the fence, what is owed, the transaction around them.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import Any, Final

import asyncpg
from pydantic import TypeAdapter

from benchmarks.sides.floor import COLUMNS, Message, row_of
from benchmarks.sides.sluice import work
from benchmarks.sides.told import told
from workers.app.supervisor import Plan
from workers.records import Batch, Event, Output
from workers.runtime.worker_spec import WorkerSpec
from workers.store.connection import Connection

_DECODE: Final[Callable[[bytes], Message]] = TypeAdapter(Message).validate_json


def _decoded(value: bytes | None) -> tuple[Message, bytes]:
    value = value or b""
    return _DECODE(value), value


async def _apply(tx: Connection, batch: Batch[tuple[Message, bytes]]) -> list[Output]:
    rows = [row_of(*record.value) for record in batch.records]
    await tx.copy_records_to_table("floor", schema_name="sluice_core", records=rows)
    return [
        Output(record.source, Event("messages.accepted", record.key, record.value[1], row[0], "acme", batch.now))
        for record, row in zip(batch.records, rows, strict=True)
    ]


async def _prepare(database: str) -> None:
    connection: Any = await asyncpg.connect(database)
    await connection.execute(f"CREATE TABLE sluice_core.floor ({COLUMNS})")
    await connection.close()


def main() -> int:
    """Works until SIGTERM."""
    arguments = told()
    asyncio.run(_prepare(arguments.database))
    spec = WorkerSpec("frame", {"messages.inbound": _decoded}, _apply, lanes=2)
    return work(arguments, Plan([spec], publishes=False))


if __name__ == "__main__":
    sys.exit(main())
