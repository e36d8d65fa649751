"""Every worker at work over a broker and a database: tests push facts into topics, and read topics and views.

All acceptance tests share one stage per kind of broker, on the session's event loop; a workspace each keeps them apart:

    async def test_rule_3_1_…(workspace: Workspace) -> None:     # runs on the embedded broker and on real Kafka
        hello = workspace.message("hello", at=now())             # JSON dicts in the contract's words, with defaults
        block = workspace.command("block_contact", identity=WHATSAPP, at=now())
        await workspace.play(hello, block)                       # one by one, each applied before the next
        await workspace.play_together(*many)                     # published at once, in order per key
        row = await workspace.row("contact_overview")            # the one row of the view sluice.contact_overview
        rows = await workspace.rows("drop_ledger", channel="sms")
        outputs = await workspace.outputs("messages.accepted")   # waits until the outbox is published
        assert (await workspace.result(block))["outcome"] == "done"

Any field of a record can be given by its name and wins over the default; a default goes with `field=MISSING`
(tests/acceptance/making.py). `play` finds the topic and the key of a dict by its fields; anything else is published
with `stage.publish(topic, (key, value))`. Times are aware datetimes, by default now; a record's Kafka timestamp is the
broker's own. `workspace.stage.pool` reads the database (JSON columns are decoded), `.broker` is the broker.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from asyncpg import Pool

from schemas.topics import EVERY_TOPIC, OUTPUTS
from tests.acceptance.making import MISSING, PHONE, WHATSAPP, Json, Maker, at, identity, key_of, now, topic_of
from tests.acceptance.reading import Published, named, published
from tests.support.brokers import PATIENCE_S, Broker, Sent
from tests.support.databases import HASH_KEY, worker_of
from workers.app import supervisor
from workers.app.composition import ALL, plan_of
from workers.app.settings import load_settings
from workers.errors import ExitCode
from workers.kafka import topics as kafka_topics

Headers = Sequence[tuple[str, bytes]]

__all__ = [
    "MISSING",
    "PHONE",
    "WHATSAPP",
    "Json",
    "Published",
    "Stage",
    "Workspace",
    "at",
    "identity",
    "named",
    "now",
    "set_stage",
]

_PARTITIONS: Final = 4
_LOOK_S: Final = 0.01
_GROUPS: Final = {topic: spec.name for spec in plan_of([ALL]).specs for topic in spec.decoders}
_BACKLOG: Final = """
    SELECT EXISTS (SELECT FROM sluice_core.outbox) OR EXISTS (SELECT FROM sluice_core.unpublished_contacts)
        OR EXISTS (SELECT FROM sluice_core.unpublished_cycles) OR EXISTS (SELECT FROM sluice_core.pending_work)
        OR EXISTS (SELECT FROM sluice_core.alert_checks)
"""


class Stage:
    """Workers, broker and database of the tests."""

    def __init__(self, broker: Broker, pool: Pool, working: "asyncio.Task[ExitCode]", database: str) -> None:
        self.broker = broker
        self.pool = pool
        self.database = database
        self._working = working
        self._sent: dict[tuple[str, int], int] = {}
        self._read: list[Published] = []
        self.producer: Any = AIOKafkaProducer(
            bootstrap_servers=broker.bootstrap, acks="all", max_request_size=2 * 1024 * 1024
        )
        self._consumer: Any = AIOKafkaConsumer(
            bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=20
        )
        self._admin: Any = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
        self.outputs: list[TopicPartition] = []

    async def open(self, stack: AsyncExitStack) -> None:
        """Starts the clients; the stack closes them."""
        for client, close in ((self.producer, "stop"), (self._consumer, "stop"), (self._admin, "close")):
            await client.start()
            stack.push_async_callback(getattr(client, close))
        names = [self.broker.topic_prefix + spec.name for spec in OUTPUTS]
        self.outputs = [TopicPartition(n, p) for n in names for p in sorted(await self.producer.partitions_for(n))]
        self._consumer.assign(self.outputs)
        await self._consumer.seek_to_beginning()

    async def publish(
        self,
        topic: str,
        *records: tuple[bytes | None, bytes | None],
        headers: Headers = (),
        recorded_at: datetime | None = None,
    ) -> list[Sent]:
        """Writes (key, value) records in order, without waiting for workers. `recorded_at`: their Kafka timestamp."""
        name = self.broker.topic_prefix + topic
        timestamp = None if recorded_at is None else int(recorded_at.timestamp() * 1000)
        waiting = [
            # aiokafka refuses a record without key and value
            await self.producer.send(name, v, k if (k, v) != (None, None) else b"", None, timestamp, list(headers))
            for k, v in records
        ]
        sent = [Sent(done.partition, done.offset) for done in await asyncio.gather(*waiting)]
        for where in sent:
            self.remember(topic, where)
        return sent

    def remember(self, topic: str, sent: Sent) -> None:
        """What `applied` waits for as well: a record that another producer wrote."""
        key = topic, sent.partition
        self._sent[key] = max(sent.offset + 1, self._sent.get(key, 0))

    async def applied(self) -> None:
        """Waits until every record published here is applied: the views show it.

        Raises:
            TimeoutError: it took too long.
        """
        query = "SELECT topic, partition, next_offset FROM sluice.partition_progress"

        async def reached() -> bool:
            rows = {(row["topic"], row["partition"]): row["next_offset"] for row in await self.pool.fetch(query)}
            return all(rows.get(where, 0) >= end for where, end in self._sent.items())

        await self.until(reached, "what was published is not applied")

    async def published(self) -> None:
        """Waits until, beyond that, all that workers owe to Kafka for it is published, compacted topics included.

        Raises:
            TimeoutError: it took too long.
        """
        await self.applied()

        async def reached() -> bool:
            return not await self.pool.fetchval(_BACKLOG) and await self._committed()

        await self.until(reached, "what is owed is not published")

    async def until(self, reached: Any, complaint: str, patience_s: float = PATIENCE_S) -> None:
        """Waits until `await reached()`; fails at once when the workers have ended."""
        try:
            async with asyncio.timeout(patience_s):
                while not await reached():
                    if self._working.done():
                        raise AssertionError(f"the workers ended: {self._working.result()!r}")
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError as error:
            raise TimeoutError(complaint) from error

    async def everything(self) -> Sequence[Published]:
        """Every output on every topic so far, in order within each partition; waits for the outbox."""
        await self.published()
        ends = await self._consumer.end_offsets(self.outputs)
        async with asyncio.timeout(PATIENCE_S):
            while any([await self._consumer.position(p) < end for p, end in ends.items()]):
                for records in (await self._consumer.getmany(timeout_ms=50)).values():
                    self._read.extend(published(record, self.broker.topic_prefix) for record in records)
        return self._read

    async def _committed(self) -> bool:
        # A worker commits an offset when what the records before it caused is published.
        for group in sorted(set(_GROUPS.values())):
            wanted = {where: end for where, end in self._sent.items() if _GROUPS[where[0]] == group}
            if wanted and not await self._reached(f"{self.broker.group_prefix}-{group}", wanted):
                return False
        return True

    async def _reached(self, group: str, wanted: Mapping[tuple[str, int], int]) -> bool:
        ends = {TopicPartition(self.broker.topic_prefix + topic, p): end for (topic, p), end in wanted.items()}
        offsets = await self._admin.list_consumer_group_offsets(group, partitions=list(ends))
        return all(offsets[partition].offset >= end for partition, end in ends.items())


class Workspace(Maker):
    """One tenant on the stage: makes its records, and sees nothing but its own rows and outputs."""

    def __init__(self, stage: Stage, id_: str) -> None:
        super().__init__(id_)
        self.stage = stage

    async def stay_open(self) -> None:
        """Keeps all cycles open: facts of days long past are on time."""
        await self.play(self.command("configure_workspace", set={"close_grace_hours": 80_000}, at=at(-1_000_000)))

    async def play(self, *facts: Json, headers: Headers = (), recorded_at: datetime | None = None) -> None:
        """Publishes facts one by one, each applied before the next."""
        for fact in facts:
            await self.play_together(fact, headers=headers, recorded_at=recorded_at)

    async def play_together(self, *facts: Json, headers: Headers = (), recorded_at: datetime | None = None) -> None:
        """Publishes facts at once and waits until they are applied; only those of one key keep their order."""
        for fact in facts:
            record = key_of(fact), msgspec.json.encode(fact)
            await self.stage.publish(topic_of(fact), record, headers=headers, recorded_at=recorded_at)
        await self.stage.applied()

    async def rows(self, view: str, **equal: Any) -> list[Json]:
        """The workspace's rows of a public view, as dicts; `equal` are columns and the values they must have."""
        rows = await self.stage.pool.fetch(f"SELECT * FROM sluice.{view} WHERE workspace_id = $1", self.id)  # noqa: S608
        return [dict(row) for row in rows if all(row[column] == value for column, value in equal.items())]

    async def row(self, view: str, **equal: Any) -> Json:
        """The only such row."""
        rows = await self.rows(view, **equal)
        assert len(rows) == 1, f"{len(rows)} rows of {view}: {rows}"
        return rows[0]

    async def contact_id(self, address: str = PHONE, **equal: Any) -> UUID:
        """Who an address belongs to: who used it, or else whose it is by a block, a send or a field."""
        rows = await self.rows("contact_channels", address=address, **equal)
        used = [row for row in rows if row["state"] == "active"]
        [found] = {row["contact_id"] for row in used or rows}
        id_: UUID = found
        return id_

    async def outputs(self, topic: str) -> list[Published]:
        """The workspace's outputs on a topic, tombstones included, in order of each key."""
        source = f"/sluice/{self.id}".encode()
        everything = await self.stage.everything()
        return [out for out in everything if out.topic == topic and ("ce_source", source) in out.headers]

    async def values(self, topic: str) -> list[Any]:
        """The same, only their values."""
        return [out.value for out in await self.outputs(topic)]

    async def result(self, command: Json) -> Json:
        """The value on `commands.results` that answers a command."""
        values = [v for v in await self.values("commands.results") if v["command_id"] == command["command_id"]]
        assert values, f"no result of {command['command']}"
        answer: Json = values[-1]
        return answer


@asynccontextmanager
async def set_stage(broker: Broker, database: str, **others: Any) -> AsyncIterator[Stage]:
    """Every worker, consuming, over a broker of their own prefixes and a migrated database, with the rights of the role
    `sluice_worker`; stopped at the end. `others`: settings of the workers that win, such as a login to Kafka.
    """
    async with AsyncExitStack() as stack:
        await _make_topics(broker)
        pool = await stack.enter_async_context(asyncpg.create_pool(database, min_size=1, max_size=2, init=_decode_json))
        stop, ready = asyncio.Event(), asyncio.Event()
        told: dict[str, Any] = {
            "database_url": await worker_of(database),
            "kafka_bootstrap": broker.bootstrap,
            "topic_prefix": broker.topic_prefix,
            "group_prefix": broker.group_prefix,
            "session_timeout_ms": 6_000,
            "hash_key": HASH_KEY,
            # The embedded broker answers only then; Kafka does as soon as there is something.
            "fetch_max_wait_ms": 20 if broker.kind == "embedded" else 250,
        }
        settings = load_settings(**told | others)
        working = asyncio.create_task(supervisor.run(settings, plan_of([ALL]), stop, ready=ready.set))
        try:
            stage = Stage(broker, pool, working, database)
            await stage.open(stack)
            await stage.until(lambda: _is_set(ready), "the workers did not begin to consume", 2 * PATIENCE_S)
            yield stage
        finally:
            stop.set()
            code = await working
        assert code is ExitCode.CLEAN


async def _make_topics(broker: Broker) -> None:
    if broker.kind == "embedded":
        await broker.create(*EVERY_TOPIC)
    else:
        await kafka_topics.ensure(broker.cluster(), _PARTITIONS, 1)


async def _decode_json(connection: Any) -> None:
    for type_ in ("json", "jsonb"):
        await connection.set_type_codec(type_, schema="pg_catalog", encoder=json.dumps, decoder=json.loads)


async def _is_set(event: asyncio.Event) -> bool:
    return event.is_set()
