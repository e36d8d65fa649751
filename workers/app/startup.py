"""Checks before consuming: the servers answer, the schema is up to date, the topics exist."""

from collections.abc import Collection, Sequence
from typing import Final

import structlog
from asyncpg import Pool

from schemas.kafka_rights import Operation, complaint, rights_of
from workers.app.accounts import accounts_in_file
from workers.app.settings import Settings
from workers.errors import SettingsError, SetupError
from workers.kafka.acls import lacking
from workers.kafka.connection import Kafka
from workers.kafka.failures import AWAY
from workers.kafka.operator_queries import bounds
from workers.kafka.topics import topics_at_start
from workers.process.liveness import LivenessProbe
from workers.rules.address_hashes import HashKeys
from workers.runtime.bad_record_limit import OPTION, AcceptedBad
from workers.runtime.worker_spec import WorkerSpec
from workers.services.compaction_repair import RepairedTopic
from workers.store import accounts as stored_accounts
from workers.store import address_hashes, migrate
from workers.store import group_binding as bindings
from workers.store.failures import ConnectionLost, translated
from workers.store.pool import open_pool

POSTGRESQL: Final = "PostgreSQL"
KAFKA: Final = "Kafka"
BILLING: Final = "billing"
"""The worker that reads the accounts file."""

log = structlog.get_logger()


async def database(url: str, name: str, connections: int, unreachable_after_s: float) -> Pool:
    """A pool on a database that is up to date.

    Raises:
        Unreachable: PostgreSQL did not answer within the bound.
        SetupError: it refuses the login, is too old, lacks migrations, or lets the login only read.
    """

    async def connect() -> Pool:
        try:
            async with translated():
                pool = await open_pool(url, name=name, max_size=connections)
        except ValueError as error:
            raise SetupError(f"PostgreSQL refuses the connection of SLUICE_DATABASE_URL: {error}") from error
        try:
            async with translated(), pool.acquire() as connection:
                await migrate.check_worker(connection)
        except BaseException:
            pool.terminate()
            raise
        return pool

    return await LivenessProbe(POSTGRESQL, (ConnectionLost,), unreachable_after_s).answer(connect)


async def groups(pool: Pool, owned: Sequence[tuple[str, Sequence[str]]], unreachable_after_s: float) -> None:
    """Refuses a database that is bound to another group prefix. `owned` are our groups with their topics.

    Raises:
        Unreachable: PostgreSQL did not answer within the bound.
        SetupError: the database is bound to another prefix.
    """

    async def check() -> None:
        async with translated(), pool.acquire() as connection:
            for group, topics in owned:
                await bindings.check(connection, topics, group)

    await LivenessProbe(POSTGRESQL, (ConnectionLost,), unreachable_after_s).answer(check)


async def accounts(pool: Pool, settings: Settings, workers: Collection[str]) -> None:
    """Stores the billing accounts of the accounts file in place of those that were there, if the billing worker is one
    of these and there is a file.

    Raises:
        SettingsError: the file cannot be read, or is wrong.
        Unreachable: PostgreSQL did not answer within the bound.
    """
    account_of = accounts_in_file(settings) if BILLING in workers else None
    if account_of is None:
        return

    async def store() -> None:
        async with translated(), pool.acquire() as connection, connection.transaction():
            await stored_accounts.replace(connection, account_of)

    await LivenessProbe(POSTGRESQL, (ConnectionLost,), settings.unreachable_after_s).answer(store)


async def hash_keys(pool: Pool, keys: HashKeys, unreachable_after_s: float) -> None:
    """Lets this process use the keys. Refuses keys that would not find the addresses of deleted contacts.

    Raises:
        Unreachable: PostgreSQL did not answer within the bound.
        SettingsError: there are hashes by another key.
    """
    address_hashes.use(keys)

    async def check() -> None:
        async with translated(), pool.acquire() as connection:
            await address_hashes.check_keys(connection)

    await LivenessProbe(POSTGRESQL, (ConnectionLost,), unreachable_after_s).answer(check)


async def check_rights(
    cluster: Kafka, settings: Settings, specs: Sequence[WorkerSpec], repaired: Sequence[RepairedTopic]
) -> None:
    """Refuses to start without rights in Kafka that these workers, or what reads these topics back, need. Whatever runs
    publishes, so it needs the right to write every output.

    Raises:
        Unreachable: Kafka did not answer within the bound.
        SetupError: the login lacks rights, or Kafka refuses it.
    """
    read = {cluster.topic(name) for spec in specs for name in spec.decoders} | {cluster.topic(t.name) for t in repaired}
    read |= {f"{settings.group_prefix}-{spec.name}" for spec in specs}
    wanted = [
        right
        for right in rights_of("worker", settings.topic_prefix, settings.group_prefix)
        if right.operation is Operation.WRITE or (right.operation is Operation.READ and right.name in read)
    ]
    probe = LivenessProbe(KAFKA, AWAY, settings.unreachable_after_s)
    if missing := await probe.answer(lambda: lacking(cluster, wanted)):
        raise SetupError(complaint("worker", cluster.user, missing))


async def check_topics(cluster: Kafka, names: Sequence[str], unreachable_after_s: float) -> None:
    """Refuses to start without the topics (names without prefix). Warns of inputs to which the broker does not write
    its time.

    Raises:
        Unreachable: Kafka did not answer within the bound.
        SetupError: topics are missing, or Kafka refuses.
    """
    found, by_producers = await LivenessProbe(KAFKA, AWAY, unreachable_after_s).answer(
        lambda: topics_at_start(cluster, names)
    )
    missing = sorted({cluster.topic(name) for name in names} - found)
    if missing:
        raise SetupError(f"Kafka lacks topics ({', '.join(missing)}): run `sluice topics`")
    for topic in by_producers:
        log.warning(
            "The records of an input topic carry their producers' time, which may be anything: set its "
            "message.timestamp.type to LogAppendTime, as `sluice topics` does with those that it makes.",
            action="create_time",
            topic=topic,
        )


async def accepted(cluster: Kafka, until: AcceptedBad) -> None:
    """Refuses offsets that match no partition: with a typing error the worker would only halt again.

    Raises:
        SettingsError: the partition does not exist, or does not reach that offset.
        Unreachable, SetupError: Kafka does not answer, or refuses.
    """
    held = await bounds(cluster, sorted({source.topic for source in until})) if until else {}
    for source, offset in until.items():
        where = f"{OPTION}: {source.topic}[{source.partition}]"
        if source not in held:
            last = max((one.partition for one in held if one.topic == source.topic), default=0)
            raise SettingsError(f"{where} does not exist: the topic has partitions 0 to {last}")
        begin, end = held[source]
        if not begin <= offset <= end:
            raise SettingsError(f"{where} holds offsets {begin} to {end}: {offset} is outside of that")
