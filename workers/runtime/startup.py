"""What is checked before anything is consumed: the servers answer, the schema is up to date, the topics are there."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import structlog
from aiokafka import errors as kafka
from aiokafka.admin import AIOKafkaAdminClient
from asyncpg import Pool
from asyncpg.exceptions import InvalidAuthorizationSpecificationError, InvalidCatalogNameError

from workers.errors import SetupError, Unreachable
from workers.runtime.connection import Kafka
from workers.store import migrate, progress
from workers.store.failures import ConnectionLost, translated
from workers.store.pool import open_pool

T = TypeVar("T")
_PAUSE_S: Final = 1.0

log = structlog.get_logger()


async def database(url: str, name: str, connections: int, unreachable_after_s: float) -> Pool:
    """A pool on a database that is up to date.

    Raises:
        Unreachable: PostgreSQL did not answer within the bound.
        SetupError: it refuses the login, is too old, or lacks migrations.
    """

    async def connect() -> Pool:
        try:
            async with translated():
                pool = await open_pool(url, name=name, max_size=connections)
        except (InvalidAuthorizationSpecificationError, InvalidCatalogNameError, ValueError) as error:
            raise SetupError(f"PostgreSQL refuses the connection of SLUICE_DATABASE_URL: {error}") from error
        try:
            async with translated(), pool.acquire() as connection:
                await migrate.check(connection)
        except BaseException:
            pool.terminate()
            raise
        return pool

    return await _patiently(connect, "PostgreSQL", (ConnectionLost, TimeoutError), unreachable_after_s)


async def groups(pool: Pool, owned: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Refuses progress that belongs to other consumer groups; `owned` are our groups with their topics.

    Raises:
        SetupError: there is some.
    """
    async with translated(), pool.acquire() as connection:
        for group, topics in owned:
            await progress.check_groups(connection, topics, group)


async def topics(cluster: Kafka, names: Sequence[str], unreachable_after_s: float) -> None:
    """Refuses to go on without the topics (names without prefix).

    Raises:
        Unreachable: Kafka did not answer within the bound.
        SetupError: topics are missing, or Kafka refuses.
    """
    found = await _patiently(
        lambda: _topics(cluster), "Kafka", (kafka.KafkaError, OSError, TimeoutError), unreachable_after_s
    )
    missing = sorted({cluster.topic(name) for name in names} - found)
    if missing:
        raise SetupError(f"Kafka lacks topics ({', '.join(missing)}): run `sluice topics`")


async def _topics(cluster: Kafka) -> set[str]:
    admin = AIOKafkaAdminClient(**cluster.clients("startup"))
    try:
        await admin.start()
        return set(await admin.list_topics())
    except (kafka.SaslAuthenticationFailed, kafka.ClusterAuthorizationFailedError) as error:
        raise SetupError(f"Kafka refuses us: {error!r}") from error
    finally:
        await admin.close()


async def _patiently(
    work: Callable[[], Awaitable[T]], server: str, away: tuple[type[Exception], ...], bound_s: float
) -> T:
    loop = asyncio.get_running_loop()
    give_up = loop.time() + bound_s
    told = False
    while True:
        try:
            async with asyncio.timeout(max(1.0, min(10.0, bound_s))):
                return await work()
        except away as error:
            if loop.time() >= give_up:
                reason = str(error) or type(error).__name__
                raise Unreachable(f"{server} did not answer for {bound_s:g} s: {reason}") from error
            if not told:
                log.warning(
                    f"{server} does not answer yet; waiting for it.", action="waiting_for_server", server=server
                )
            told = True
        await asyncio.sleep(min(_PAUSE_S, bound_s / 5))
