"""Zombies that hold the lease of a publisher or of a timed job: nobody waits long for them, and what they do late is
a repeat, is repaired, or is refused.
"""

from collections import Counter
from signal import SIGCONT, SIGSTOP
from typing import Final
from uuid import UUID, uuid4

import msgspec
import pytest

from schemas.ids import fact_id
from tests.acceptance.making import Json, Maker, at, identity, key_of, now, topic_of
from tests.faults import audit, oracle
from tests.faults.process import Fault
from tests.faults.stage import Stage
from tests.faults.traffic import INPUTS
from tests.support.brokers import Read
from tests.support.databases import until
from workers.errors import ExitCode
from workers.records import Event
from workers.store import job_outbox

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

ROOMS: Final = "inbound,commands,outbound,workflows,billing"
PHONE: Final = "+491511234567"
FACTS, CONTACTS = "commands.results", "contacts.changes"
PUBLISHED: Final = "SELECT NOT EXISTS (SELECT FROM sluice_core.outbox)"
CLEAN: Final = "SELECT NOT EXISTS (SELECT FROM sluice_core.unpublished_contacts)"


async def tell(stage: Stage, *facts: Json) -> None:
    """Puts them on their topics and waits until they are applied."""
    async with stage.broker.producer() as producer:
        for fact in facts:
            topic = stage.broker.topic_prefix + topic_of(fact)
            await producer.send_and_wait(topic, msgspec.json.encode(fact), key_of(fact))
    await stage.broker.caught_up(stage.pool, *INPUTS)


async def store_outbox(stage: Stage, name: str) -> UUID:
    """A fact of a job; all of them have one key."""
    id_ = fact_id(FACTS, name)
    async with stage.pool.acquire() as tx, tx.transaction():
        await job_outbox.put(tx, [Event(FACTS, b"key", name.encode(), id_, "alpha", now())])
    return id_


async def shows(stage: Stage, topic: str, count: int) -> list[Read]:
    """What a topic holds once it holds so many records."""
    return await stage.broker.read(topic, count, timeout_s=60)


async def test_the_outbox_does_not_wait_for_a_publisher_that_stands_still(everything: Stage) -> None:
    zombie = await everything.fork("upkeep", fault=Fault("sending", 1, SIGSTOP))
    first = await store_outbox(everything, "first")
    await zombie.is_paused()
    after_crash = await everything.fork("upkeep")
    second = await store_outbox(everything, "second")
    await until(everything.pool, PUBLISHED, timeout_s=60)
    await zombie.is_paused()

    zombie.send(SIGCONT)
    found = Counter(UUID((r.header("ce_id") or b"").decode()) for r in await shows(everything, FACTS, 3))
    assert found == {first: 2, second: 1}
    assert await everything.stop(zombie, after_crash) == [ExitCode.CLEAN, ExitCode.CLEAN], everything.told()
    oracle.assert_told(await audit.facts(everything.pool), {FACTS: await everything.broker.read_all(FACTS)})


async def test_a_late_write_to_a_compacted_topic_is_repaired(everything: Stage) -> None:
    maker = Maker("alpha")
    [rooms] = await everything.fork_ready(ROOMS)
    zombie = await everything.fork("upkeep", fault=Fault("sending", 1, SIGSTOP), FAULT_HURRY="1")
    await tell(everything, maker.message(at=at(0), address=PHONE))
    await zombie.is_paused()
    after_crash = await everything.fork("upkeep", FAULT_HURRY="1")
    await tell(everything, maker.command("block_contact", identity=identity(PHONE), at=at(1)))
    await until(everything.pool, CLEAN, timeout_s=60)
    await zombie.is_paused()
    before = await everything.broker.read_all(CONTACTS)

    zombie.send(SIGCONT)
    shown = [_revision(record) for record in await shows(everything, CONTACTS, len(before) + 2)]
    late, repaired = shown[len(before) :]
    assert late < shown[len(before) - 1] == repaired
    await oracle.assert_compacted(everything.pool, everything.broker)
    ended = await everything.stop(rooms, zombie, after_crash)
    assert ended == [ExitCode.CLEAN] * 3, everything.told()


async def test_a_job_goes_on_elsewhere_and_what_it_did_here_is_refused(everything: Stage) -> None:
    maker = Maker("alpha")
    who, send_id = identity(PHONE), str(uuid4())
    [rooms] = await everything.fork_ready(ROOMS)
    await tell(everything, maker.message(at=at(0), address=PHONE))
    await tell(everything, maker.command("define_status", name="vip", protected=True, at=at(1)))
    await tell(everything, maker.command("create_profile", profile_id="p", name="Profile", at=at(2)))
    await tell(everything, maker.command("set_profile_status", profile_id="p", status="vip", at=at(3)))
    await tell(everything, maker.command("attach_contact", identity=who, profile_id="p", at=at(4)))
    await tell(everything, maker.send(at=at(5), send_id=send_id, to={"address": PHONE}))
    overdue = "UPDATE sluice_core.sends SET expires_at = now() WHERE status = 'held' RETURNING send_id"
    assert str(await everything.pool.fetchval(overdue)) == send_id

    zombie = await everything.fork("upkeep", fault=Fault("sql INSERT INTO outbox", 1, SIGSTOP), FAULT_HURRY="1")
    await zombie.is_paused()
    after_crash = await everything.fork("upkeep", FAULT_HURRY="1")
    await after_crash.has_logged("ready")
    await until(everything.pool, "SELECT status = 'expired' FROM sluice_core.sends", timeout_s=60)
    await zombie.is_paused()

    zombie.send(SIGCONT)
    await until(everything.pool, PUBLISHED)
    ended = await everything.stop(rooms, zombie, after_crash)
    assert ended == [ExitCode.CLEAN] * 3, everything.told()
    told = [fact.value or b"" for fact in await audit.facts(everything.pool) if fact.topic == "sends.status"]
    assert [msgspec.json.decode(value)["status"] for value in told] == ["held", "expired"]
    await oracle.assert_delivered(everything.pool, everything.broker, INPUTS)


def _revision(record: Read) -> int:
    return int(msgspec.json.decode(record.value or b"")["revision"])
