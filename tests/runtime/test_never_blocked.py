"""Whatever a poll holds, no worker keeps the event loop to itself for long.

Of each kind there is a poll of what takes longest within the limits of records.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from random import Random
from typing import Any, Final

import msgspec
import pytest
from asyncpg import Pool

from schemas.limits import MAX_KEY_BYTES
from tests.acceptance.making import Json, Maker, topic_of
from tests.support.brokers import Broker
from tests.support.gaps import measured
from tests.support.processes import at_work
from workers.app.composition import WORKERS
from workers.process.tasks import SLICE, TURN_S, ended, paced

MANY: Final = 500
KEYS: Final = 48
"""Long ones, beside the rest; the embedded broker forgets what is above 5 MiB of a partition."""
MOST_S: Final = 0.25
"""Of processor time, on a machine that others use as well; 0.1 s is usual. Without giving way it would be seconds."""
DICE: Final = Random(1)  # noqa: S311

make = Maker("acme")
Sent = tuple[bytes, bytes]


def foreign(n: int) -> Json:
    """An address of which each letter must be looked up, and each joiner judged by what is around it."""
    return {"channel": "email", "address": f"a@x{n}." + ".".join(["\u0915\u094d\u200d\u09377"] * 29)}


def dialled(n: int) -> Json:
    """A number that is tried as one of every country."""
    return {"channel": "sms", "address": "+" + "".join(DICE.choices("123456789", k=300)) + f"{n:04}"}


def message(identity: Json, **fields: Any) -> Json:
    channel = identity["channel"]
    return make.message(channel=channel, sender={"address": identity["address"]}, **fields)


def send(identity: Json) -> Json:
    return make.send(channel=identity["channel"], to={"address": identity["address"]})


def messages() -> Iterable[Json]:
    yield from (message(foreign(n)) for n in range(MANY))
    yield from (message(dialled(n)) for n in range(MANY))


def commands() -> Iterable[Json]:
    yield from (make.command("block_contact", identity=foreign(n)) for n in range(MANY))
    yield from (make.command("define_company", company_id=f"c{n}", name="x") for n in range(MANY))
    yield from (make.command("create_profile", profile_id=f"p{n}", name="\u1e9b\u0323" * 250) for n in range(MANY))
    everywhere = [f"c{n}" for n in range(MANY)]
    yield from (
        make.command("set_profile_companies", profile_id=f"p{n}", company_ids=everywhere) for n in range(MANY // 5)
    )


KINDS: Final[dict[str, Callable[[], Iterable[Json]]]] = {
    "inbound": messages,
    "outbound": lambda: [*(send(foreign(n)) for n in range(MANY)), *(send(dialled(n)) for n in range(MANY))],
    "commands": commands,
    "workflows": lambda: (make.event("run_started", f"r{n}", identity=foreign(n)) for n in range(MANY)),
}


@pytest.mark.parametrize("worker", KINDS)
async def test_no_poll_keeps_the_loop_to_itself(database: str, pool: Pool, broker: Broker, worker: str) -> None:
    plan = WORKERS[worker]
    facts = list(KINDS[worker]())
    topic = topic_of(facts[0])
    await broker.create(*plan.topics)
    key = b"k" * (MAX_KEY_BYTES - 100)
    await produce(broker, topic, [(b"acme:%d" % n, msgspec.json.encode(fact)) for n, fact in enumerate(facts)])
    await produce(broker, topic, [(key, b"no record") for _ in range(KEYS)], partition=1)
    async with measured() as gaps, at_work(database, broker, plan):
        await broker.caught_up(pool, topic, timeout_s=60)
    applied = await pool.fetchval("SELECT sum(next_offset) FROM sluice.partition_progress")
    assert applied == len(facts) + KEYS
    assert gaps.longest_s < MOST_S, gaps.at


@pytest.mark.parametrize(("count", "each_s", "turns"), [(SLICE, 0, 1), (10 * SLICE, 0, 10), (5, 2 * TURN_S, 5)])
async def test_others_get_their_turn_by_number_and_by_time(count: int, each_s: float, turns: int) -> None:
    had = 0

    async def other() -> None:
        nonlocal had
        while True:
            had += 1
            await asyncio.sleep(0)

    others, began = asyncio.create_task(other()), time.perf_counter()
    async for _ in paced(range(count)):
        time.sleep(each_s)  # noqa: ASYNC251 - computing
    await ended(others)
    by_time = 0 if each_s else (time.perf_counter() - began) / TURN_S  # on a machine that has other work
    assert turns <= had <= turns + 2 + by_time


async def produce(broker: Broker, topic: str, records: list[Sent], partition: int = 0) -> None:
    """In batches that fill a poll."""
    async with broker.producer(max_batch_size=900_000, linger_ms=100) as producer:
        name = broker.topic_prefix + topic
        waiting = [await producer.send(name, value, key, partition) for key, value in records]
        await asyncio.gather(*waiting)
