"""SIGKILL at every named point of the commit order, and what the next owner makes of it.

What is durable at each point, and what repeats, is the table in docs/delivery.md; here is the law behind it: whatever
was in the outbox at a death is published again, and nothing else.
"""

import signal
from collections import Counter
from typing import Final, Literal, NamedTuple
from uuid import UUID

import pytest

from tests.faults import audit, oracle
from tests.faults.process import Fault, WorkerProcess
from tests.faults.stage import Stage
from tests.runtime import ledgerbook
from tests.runtime.ledgerbook import OUTPUT, TOPIC
from tests.support.databases import until
from workers.store import batch_outbox

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

VALUES: Final = list(range(1_000, 1_120))
RECORDS: Final = [(b"k%d" % value, b"%d" % value) for value in VALUES]
# So large that the outputs of one partition are more than one request.
LARGE: Final = [(b"k%d" % value + b"." * 100_000, b"%d" % value) for value in VALUES[:60]]
APPLIED: Final = "SELECT count(*) >= $1 FROM book"

Facts = Counter[UUID]
State = Literal["untouched", "unpublished", "half published", "published", "deleted"]


class Remains(NamedTuple):
    """What a dead worker left: applied values, outbox rows, events on the topic."""

    applied: list[int]
    unpublished: Facts
    published: Facts


def named(value: object) -> str | None:
    return f"{value.at} {value.time}" if isinstance(value, Fault) else None


async def killed(stage: Stage, victim: WorkerProcess) -> Remains:
    """Waits for the death; nobody is in the group any more then."""
    assert await victim.ended() == -signal.SIGKILL, victim.tail()
    await stage.expel("book")
    return await remains(stage)


async def remains(stage: Stage) -> Remains:
    outputs = await stage.pool.fetch("SELECT events FROM sluice_core.batch_outbox")
    waiting = Counter(message.ce_id for row in outputs for message in batch_outbox.unpack(row["events"]))
    shown = Counter(UUID((r.header("ce_id") or b"").decode()) for r in await stage.broker.read_all(OUTPUT))
    return Remains(await ledgerbook.rows(stage.pool), waiting, shown)


async def finish(stage: Stage, values: list[int]) -> Remains:
    """A worker without faults does the rest."""
    after_crash = await stage.fork("book")
    await after_crash.has_logged("ready")
    await stage.broker.caught_up(stage.pool, TOPIC)
    assert await after_crash.stop() == 0
    assert await ledgerbook.rows(stage.pool) == values
    await oracle.assert_applied_once(stage.pool, stage.broker, [TOPIC])
    oracle.assert_told(await audit.facts(stage.pool), {OUTPUT: await stage.broker.read_all(OUTPUT)})
    return await remains(stage)


def assert_repeated(before: Remains, after: Remains) -> None:
    """The outbox is published, perhaps again; then records that were not applied; nothing else."""
    known = before.published + before.unpublished
    assert after.published == known + Counter(after.published.keys() - known.keys())


async def assert_left(stage: Stage, left: Remains, state: State) -> None:
    facts = {fact.ce_id for fact in await audit.facts(stage.pool)}
    assert len(left.applied) == len(facts)
    if state == "untouched":
        assert not left.applied
    else:
        assert left.applied
    if state in ("untouched", "deleted"):
        assert not left.unpublished
    else:
        assert left.unpublished
    if state in ("untouched", "unpublished"):
        assert not left.published
    elif state == "half published":
        assert 0 < len(left.published) < len(facts)
    else:
        assert left.published.keys() == facts


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (Fault("polled"), "untouched"),
        (Fault("fenced"), "untouched"),
        (Fault("statement", 2), "untouched"),
        (Fault("applied"), "untouched"),
        (Fault("before_commit"), "untouched"),
        (Fault("committed"), "unpublished"),
        (Fault("sending"), "unpublished"),
        (Fault("acknowledged"), "half published"),
        (Fault("published"), "published"),
        (Fault("offsets_committed"), "published"),
        (Fault("published_deleted"), "deleted"),
    ],
    ids=named,
)
async def test_a_killed_worker_has_lost_nothing_and_its_unpublished_events_repeat(
    book: Stage, fault: Fault, state: State
) -> None:
    records = LARGE if state == "half published" else RECORDS
    await book.broker.produce(TOPIC, records)
    left = await killed(book, await book.fork("book", fault=fault))
    await assert_left(book, left, state)
    assert_repeated(left, await finish(book, VALUES[: len(records)]))


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (Fault("leases_taken"), "unpublished"),
        (Fault("sending", 8), "half published"),
        (Fault("repeated", 1), "half published"),
        (Fault("repeated", 3), "half published"),
        (Fault("outbox_published"), "deleted"),
    ],
    ids=named,
)
async def test_an_heir_killed_while_taking_over_leaves_the_rest_to_the_next(
    book: Stage, fault: Fault, state: State
) -> None:
    await book.broker.produce(TOPIC, RECORDS)
    first = await killed(book, await book.fork("book", fault=Fault("committed")))
    await assert_left(book, first, "unpublished")
    second = await killed(book, await book.fork("book", fault=fault))
    await assert_left(book, second, state)
    assert_repeated(second, await finish(book, VALUES))


@pytest.mark.parametrize("why", ["stop", "rebalance"])
@pytest.mark.parametrize("point", ["handing_over", "handed_over"])
async def test_a_worker_killed_while_handing_over_loses_nothing(book: Stage, point: str, why: str) -> None:
    victim = await book.fork("book", fault=Fault(point))
    await victim.has_logged("ready")
    await book.broker.produce(TOPIC, RECORDS)
    await until(book.pool, APPLIED, len(VALUES))
    if why == "stop":
        victim.send(signal.SIGTERM)
        left = await killed(book, victim)
    else:
        # It makes the group rebalance, and is gone before it has published anything.
        newcomer = await book.fork("book", fault=Fault("leases_taken"))
        await killed(book, victim)
        left = await killed(book, newcomer)
    assert left.applied == VALUES
    if point == "handed_over":
        assert not left.unpublished
    assert_repeated(left, await finish(book, VALUES))
