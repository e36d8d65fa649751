"""Starts again with a broker that lost its data: its offsets start again, and so must the progress rows.

Only for the embedded broker. On a real cluster a topic that was created again stops the worker (`PositionLost`).
"""

from typing import Final

import structlog

from workers.app.settings import Settings
from workers.kafka.producer import KafkaOutput
from workers.store import batch_outbox, compacted_topics, dead_letters, progress, send_attempts
from workers.store.failures import translated
from workers.store.pool import pool_of

_BOUND_S: Final = 30.0

log = structlog.get_logger()


async def begin(settings: Settings) -> None:
    """Publishes the outbox, then lets every partition begin at its first record.

    No worker may consume yet.

    Raises:
        Unreachable, SetupError: Kafka or PostgreSQL does not answer, or refuses.
    """
    output = KafkaOutput(settings.kafka(), "incarnation", unreachable_after_s=_BOUND_S)
    url = settings.required_database_url()
    try:
        async with translated(), pool_of(url, name="incarnation", max_size=1) as pool, pool.acquire() as connection:
            for source in await batch_outbox.all_sources(connection):
                for left in await batch_outbox.of_source(connection, source):
                    await output.publish(left.events)
                await batch_outbox.forget(connection, source)
            async with connection.transaction():
                known = list(await progress.sources(connection))
                await dead_letters.detach(connection, known)
                await progress.forget(connection, known)
                await compacted_topics.forget(connection)
                await send_attempts.detach_parked(connection)
    finally:
        await output.stop()
    if known:
        log.info(
            "The broker is new: every partition starts from its first record.",
            action="incarnation",
            partitions=len(known),
        )
