"""A minimal worker: it writes every record into a table and publishes an event for it."""

from typing import Any

from asyncpg import Pool

from schemas.decoding import BadRecord
from schemas.ids import fact_id
from workers.records import Batch, Event, Output
from workers.runtime.worker_spec import Apply, WorkerSpec
from workers.store.connection import Connection

TOPIC = "messages.inbound"
OUTPUT = "messages.accepted"


async def book(pool: Pool) -> None:
    """The table. A natural key would hide a record applied twice: there is none."""
    await pool.execute("CREATE TABLE book (partition int, at bigint, value int CHECK (value <> 13))")


async def rows(pool: Pool) -> list[int]:
    """Every value that was applied, as often as it was."""
    return [row["value"] for row in await pool.fetch("SELECT value FROM book ORDER BY value")]


def decode(raw: bytes | None) -> int | BadRecord:
    """A decimal number."""
    if raw is None or not raw.isdigit():
        return BadRecord("value: not a number")
    return int(raw)


async def apply(tx: Connection, batch: Batch[int]) -> list[Output]:
    """One row and one output per record."""
    await tx.execute(
        "INSERT INTO book SELECT * FROM unnest($1::int[], $2::bigint[], $3::int[])",
        [r.source.partition for r in batch.records],
        [r.offset for r in batch.records],
        [r.value for r in batch.records],
    )
    return [
        Output(
            record.source,
            Event(
                topic=OUTPUT,
                key=record.key or b"",
                value=b"%d" % record.value,
                ce_id=fact_id(OUTPUT, str(record.source.partition), str(record.offset)),
                workspace_id="w",
                time=record.timestamp,
                traceparent=record.traceparent,
            ),
        )
        for record in batch.records
    ]


def spec_of(apply_: Apply = apply, **decoders: Any) -> WorkerSpec:
    """The worker, with another `apply` if the test wants one."""
    return WorkerSpec("book", decoders or {TOPIC: decode}, apply_)
