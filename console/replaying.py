"""Settles dead letters: produces their records to the topics they came from a second time, or dismisses them."""

import asyncio
from typing import Final, NamedTuple

from console.parts import Parts
from console.reading import operations
from workers.process.queries import statements
from workers.rules.letters import REPLAY_HEADER, why_not_replayed

_SQL: Final = statements("console", "replaying")
# Less than PostgreSQL's limit for an idle transaction: the record and its mark belong together.
_DEADLINE_S: Final = 8.0


class Settled(NamedTuple):
    """What became of a dead letter: `replayed`, `dismissed`, or `unchanged` with the reason."""

    id: int
    outcome: str
    reason: str | None = None


async def replay(parts: Parts, letter: int) -> Settled | None:
    """Produces the record of a dead letter again, with its key, headers and partition; None: there is no such letter.

    Raises as `Postgres` and `Production.produce`: the letter is as it was, and the record may be in the topic.
    """
    async with parts.postgres.transaction() as connection, asyncio.timeout(_DEADLINE_S):
        found = await operations.dead_letter(connection, letter)
        if found is None:
            return None
        reason = why_not_replayed(found["error"], found["value"], is_erased=found["erased_at"] is not None)
        if reason is not None:
            return Settled(letter, "unchanged", reason)
        # Marked before it is produced, and so locked: a worker that finds it bad again waits until this is committed.
        if not await connection.fetchval(_SQL["settle"], letter, "replayed"):
            return Settled(letter, "unchanged", "it was replayed already")
        headers = [*found["headers"], (REPLAY_HEADER, str(letter).encode())]
        source = found["source_topic"], found["source_partition"]
        await parts.production.produce_again(*source, found["key"], found["value"], headers)
    return Settled(letter, "replayed")


async def dismiss(parts: Parts, letter: int) -> Settled | None:
    """Marks a dead letter as dismissed, so that nobody is told of it any more; None: there is no such letter. Raises as
    `Postgres`.
    """
    async with parts.postgres.transaction() as connection:
        if await connection.fetchval(_SQL["settle"], letter, "dismissed"):
            return Settled(letter, "dismissed")
        is_known = await operations.dead_letter(connection, letter) is not None
    return Settled(letter, "unchanged", "it was dismissed already") if is_known else None
