"""A broker that keeps nothing begins anew with every start: its offsets start again, and so must the progress rows.

Only for the embedded broker. On a real cluster a topic that was made anew is a reason to stop (`PositionLost`).
"""

from typing import Final

import structlog

from workers.runtime.producer import KafkaOutput
from workers.settings import Settings
from workers.store import attempts, dead_letters, owed, progress, tails
from workers.store.failures import translated
from workers.store.pool import pool_of

_BOUND_S: Final = 30.0

log = structlog.get_logger()


async def begin(settings: Settings) -> None:
    """Publishes what the last incarnation left owed, then lets every partition begin at its first record.

    Nothing may be consuming yet.

    Raises:
        Unreachable, SetupError: Kafka or PostgreSQL is gone, or refuses.
    """
    output = KafkaOutput(settings.kafka(), "incarnation", unreachable_after_s=_BOUND_S)
    url = settings.required_database_url()
    try:
        async with translated(), pool_of(url, name="incarnation", max_size=1) as pool, pool.acquire() as connection:
            for source in await owed.all_sources(connection):
                for left in await owed.of_source(connection, source):
                    await output.publish(left.facts)
                await owed.forget(connection, source)
            async with connection.transaction():
                known = list(await progress.sources(connection))
                await dead_letters.detach(connection, known)
                await progress.forget(connection, known)
                await tails.forget(connection)
                await attempts.detach_parked(connection)
    finally:
        await output.stop()
    if known:
        log.info("A new broker: its partitions begin anew.", action="incarnation", partitions=len(known))
