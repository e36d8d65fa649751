"""Delivers a history in several orders, and compares what every one leads to with the reference model."""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any, TypeVar

import pytest
from asyncpg import Pool

from tests.acceptance.histories import NOW, Delivery, History
from tests.acceptance.people import TOPIC_OF, as_record
from tests.acceptance.views import counted_again, persons, seen, told
from tests.facts import Fact
from tests.reference import World, world
from tests.support.databases import Databases
from tests.workers.stepping import at_most, steps
from tests.workers.verified import verified
from workers.app import commands_worker as commands
from workers.messages import worker as inbound
from workers.records import Batch
from workers.records import Event as Told
from workers.rules import blocks
from workers.store.pool import open_pool
from workers.workflows import worker as workflows

T = TypeVar("T")

ENDS = {"halted": "run_halted", "refused": "run_refused"}

APPLY = {topic: spec.apply for spec in (inbound.SPEC, commands.SPEC, workflows.SPEC) for topic in spec.decoders}


@dataclass(frozen=True, slots=True)
class Shop:
    """One database for all examples: each delivery has a workspace of its own."""

    runner: asyncio.Runner
    pool: Pool
    numbers: Iterator[int]

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)


@contextmanager
def opened(databases: Databases) -> Iterator[Shop]:
    """A shop whose database is there as long as the block lasts."""

    async def open_all(stack: AsyncExitStack) -> Pool:
        url = await stack.enter_async_context(databases.migrated())
        pool = await open_pool(url, name="test", max_size=2)
        stack.push_async_callback(pool.close)
        return pool

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        stack = AsyncExitStack()
        try:
            yield Shop(runner, runner.run(open_all(stack)), count())
        finally:
            runner.run(stack.aclose())


async def deliver(pool: Pool, workspace_id: str, facts: Sequence[Fact], delivery: Delivery) -> list[Told]:
    heard: list[Told] = []
    ids: dict[str, Any] = {}
    copies = count()
    for number, poll in enumerate(delivery.polls):
        for topic in delivery.turns:
            taken = [facts[position] for position in poll if TOPIC_OF[type(facts[position])] == topic]
            records = [as_record(fact, workspace_id, next(copies), ids) for fact in taken]
            if records:
                async with pool.acquire() as tx, tx.transaction():
                    heard += [output.event for output in await APPLY[topic](tx, Batch(records, NOW))]
        heard += await steps(pool, 1)
        if number == 0:
            ids = {name: contact_id for contact_id, name in (await persons(pool, workspace_id)).items()}
    return heard + await steps(pool, 1_000)


def assert_ends_the_same(shop: Shop, case: tuple[History, list[Delivery]]) -> None:
    """Every delivery of the history ends in the world that the model knows."""
    history, orders = case
    for number, order in enumerate(orders):
        workspace_id = f"w{next(shop.numbers)}"
        with pytest.MonkeyPatch.context() as patch:
            if number % 2:  # everything is too much, and its steps come in between
                patch.setattr(blocks, "KEPT", 1)
                at_most(patch, 1)
            facts = shop.run(deliver(shop.pool, workspace_id, history.facts, order))
        shown = shop.run(seen(shop.pool, workspace_id))
        expected = world(workspace_id, history.facts, NOW)
        assert asdict(shown) == asdict(expected)
        again = shop.run(counted_again(shop.pool, workspace_id))
        assert again == {start: active for start, (_, active) in expected.counts.items()}
        differences = shop.run(verified(shop.pool, NOW, workspace=workspace_id))
        assert differences == [], differences
        assert_readers_of_the_topics_know(expected, facts)


def assert_readers_of_the_topics_know(expected: World, published: Sequence[Told]) -> None:
    verdicts, heard = told(published)
    assert {id_ for id_, verdict in verdicts.items() if verdict == "accepted"} == expected.shown.keys()
    assert {id_ for id_, verdict in verdicts.items() if verdict == "dropped"} == expected.dropped.keys()
    for run_id, (_, _, state, reason) in expected.runs.items():
        # a step asked for after the finish is refused alone: the run has ended by itself
        facts = [fact for fact in heard.get(run_id, ()) if fact["reason"] != "run_finished"]
        ends = [n for n, fact in enumerate(facts) if fact["control"] != "step_granted"]
        if state in ENDS:
            last = facts[ends[-1]]
            assert (last["control"], last["reason"]) == (ENDS[state], reason)
        assert "step_granted" not in [fact["control"] for fact in facts[min(ends, default=len(facts)) :]]
