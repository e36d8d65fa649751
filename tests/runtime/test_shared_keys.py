"""Events about one send come from several partitions, workers and jobs, and are still in order on their topic."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from asyncpg import Pool

from schemas.ids import fact_id
from tests.acceptance.making import Json, Maker, at, identity, key_of, topic_of
from tests.support.brokers import Broker, Read
from tests.support.databases import until
from tests.support.probes import HoldAt
from tests.support.processes import at_work
from tests.support.workers import running
from workers.app.commands_worker import SPEC as COMMANDS
from workers.app.supervisor import Plan
from workers.messages.worker import SPEC as INBOUND
from workers.records import Event
from workers.sends.worker import SPEC as OUTBOUND
from workers.services.job_runner import Job
from workers.store.connection import Connection

STATUS = "sends.status"
TOPICS = ("messages.inbound", "messages.outbound", "messages.receipts", "contacts.commands", STATUS, "dead.letters")

MAKER = Maker("w")
HELD = MAKER.send(at=at(3))


async def produce(broker: Broker, *facts: Json) -> None:
    for fact in facts:
        await broker.produce(topic_of(fact), [(key_of(fact), msgspec.json.encode(fact))])


async def protected(database: str, pool: Pool, broker: Broker) -> None:
    """A person nobody may write to unasked."""
    await broker.create(*TOPICS)
    who = identity(HELD["to"]["address"])
    async with running(INBOUND, database, broker), running(COMMANDS, database, broker):
        await produce(broker, MAKER.message(at=at(0)))
        await broker.caught_up(pool, "messages.inbound")
        for command in (
            MAKER.command("define_status", name="vip", protected=True, at=at(1)),
            MAKER.command("create_profile", profile_id="p", name="P", at=at(1)),
            MAKER.command("set_profile_status", profile_id="p", status="vip", at=at(2)),
            MAKER.command("attach_contact", profile_id="p", identity=who, at=at(2)),
        ):
            await produce(broker, command)
            await broker.caught_up(pool, "contacts.commands")


def revisions(records: Sequence[Read]) -> list[int]:
    return [msgspec.json.decode(record.value or b"")["revision"] for record in records if record.value]


async def test_an_answer_does_not_overtake_the_question(database: str, pool: Pool, broker: Broker) -> None:
    await protected(database, pool, broker)
    hold = HoldAt("committed")
    async with running(OUTBOUND, database, broker, probe=hold):
        await produce(broker, HELD)
        await hold.reached.wait()
        async with running(COMMANDS, database, broker):
            await produce(broker, MAKER.command("confirm_send", send_id=HELD["send_id"]))
            answered = await broker.read(STATUS, 3)
        hold.go.set()
        await broker.caught_up(pool, "messages.outbound")
    assert revisions(answered) == [1, 2, 3]
    # The first one was its own as well: a repeat, the same byte for byte.
    [*_, repeat] = await broker.read(STATUS, 4)
    assert (repeat.value, repeat.header("ce_id")) == (answered[0].value, answered[0].header("ce_id"))


async def test_a_job_does_not_overtake_a_batch(database: str, pool: Pool, broker: Broker) -> None:
    await protected(database, pool, broker)
    hold = HoldAt("committed")
    key = f"w:{HELD['send_id']}".encode()

    async def say(_tx: Connection, now: datetime) -> list[Event]:
        return [Event(STATUS, key, b'{"revision":2}', fact_id(STATUS, "said by a job"), "w", now)]

    async with running(OUTBOUND, database, broker, probe=hold):
        await produce(broker, HELD)
        await hold.reached.wait()
        async with at_work(database, broker, Plan(jobs=[Job("say", 3_600, say)], topics=TOPICS)):
            told = await broker.read(STATUS, 2)
        hold.go.set()
        await broker.caught_up(pool, "messages.outbound")
    assert revisions(told) == [1, 2]


async def test_a_batch_does_not_overtake_a_job(database: str, pool: Pool, broker: Broker) -> None:
    await protected(database, pool, broker)
    key = f"w:{HELD['send_id']}".encode()
    async with running(OUTBOUND, database, broker), running(COMMANDS, database, broker):
        await produce(broker, HELD)
        await broker.caught_up(pool, "messages.outbound")
        # No publisher is at work: what a job has said stays in the outbox.
        await pool.execute(
            "INSERT INTO sluice_core.outbox (topic, key, value, ce_id, workspace_id, time)"
            " VALUES ($1, $2, '{\"revision\":1}', $3, 'w', now())",
            STATUS,
            key,
            fact_id(STATUS, "said by a job"),
        )
        await produce(broker, MAKER.command("confirm_send", send_id=HELD["send_id"]))
        await until(pool, "SELECT status = 'dispatched' FROM sluice.sends")
        told = await broker.read(STATUS, 4)
    assert revisions(told) == [1, 1, 2, 3]
    assert told[1].header("ce_id") == str(fact_id(STATUS, "said by a job")).encode()
