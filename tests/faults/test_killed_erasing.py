"""SIGKILL to `upkeep` in every stage of erasing: the next one erases the rest, and nothing of the persons stays."""

import signal
from typing import Any, Final
from uuid import uuid4

import msgspec
import pytest

from tests.acceptance.making import Json, Maker, at, identity, key_of, topic_of
from tests.faults import families, traffic
from tests.faults.process import Fault
from tests.faults.stage import Stage
from tests.support.databases import until
from tests.workers.erasing import traces

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

POINTS: Final = ("letters_until = (", "erase_messages(", "FROM comments", "SET erased = true", "events_until = (")
"""Words of statements that erase, in their order."""
GONE: Final = "SELECT bool_and(finished_at IS NOT NULL) FROM sluice.deletions"
RELEASE: Final = "DELETE FROM sluice_core.leases"
"""The job of a dead process waits for its lease; nobody else has one."""


def address(number: int) -> str:
    return f"+4915110000{number:02}"


def history(maker: Maker, number: int) -> list[Json]:
    who, words, own = identity(address(number)), f"words of {number}", {"address": address(number)}
    spoken = [maker.message(words, at=at(n), provider_message_id=f"{number}-{n}", **own) for n in range(5)]
    sent = maker.send(words, at=at(6), send_id=str(uuid4()), to=own)
    return [*spoken, sent, maker.command("comment", identity=who, text=words, at=at(7))]


async def test_upkeep_killed_while_it_erases(everything: Stage) -> None:
    maker, people = Maker("alpha"), range(6)
    [worker] = await everything.start_ready("inbound,outbound,commands")

    async def give(facts: list[Json]) -> None:
        async with everything.broker.producer(linger_ms=5) as producer:
            for fact in facts:
                topic = everything.broker.topic_prefix + topic_of(fact)
                await producer.send(topic, msgspec.json.encode(fact), key_of(fact))
        await everything.broker.caught_up(everything.pool, *traffic.INPUTS)

    await give([maker.message(at=at(0), address=address(n), provider_message_id=f"first-{n}") for n in people])
    await give([fact for n in people for fact in history(maker, n)])
    words = [f"words of {n}" for n in people]
    ids: Any = await families.known(everything.pool, maker, [address(n) for n in people])
    gone = [ids[address(n)] for n in people if n]
    await give(
        [maker.command("delete_contacts", contact_ids=gone, expected_count=len(gone), at=at(60), **families.API)]
    )

    for point in POINTS:
        victim = await everything.fork("upkeep", fault=Fault(f"sql {point}"))
        assert await victim.ended() == -signal.SIGKILL, victim.tail()
        await everything.pool.execute(RELEASE)
    assert await everything.pool.fetchval(GONE) is False
    [upkeep] = await everything.fork_ready("upkeep")
    await until(everything.pool, GONE)
    assert await everything.stop(worker, upkeep) == [0, 0]
    assert await traces(everything.pool, *words[1:], *(address(n) for n in people if n), only="alpha") == []
    assert await traces(everything.pool, words[0], only="alpha") != []
