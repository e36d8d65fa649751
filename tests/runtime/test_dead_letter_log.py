"""Dead letters: counted each, logged one line for many, without content."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from asyncpg import Pool
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from tests.runtime.ledgerbook import TOPIC, book, spec_of
from tests.support.brokers import Broker
from tests.support.workers import running
from workers.records import DeadLetter, Partition
from workers.runtime import dead_letter_log

MARKER = b"marker-of-content"


@dataclass(frozen=True)
class Raw:
    offset: int
    timestamp: int = 0
    key: bytes | None = MARKER
    value: bytes | None = MARKER
    headers: tuple[tuple[str, bytes | None], ...] = (("theirs", MARKER),)


def letter(offset: int, *, topic: str = TOPIC, partition: int = 0, error: str = "JSON is malformed") -> DeadLetter:
    return DeadLetter(Partition(topic, partition), Raw(offset), error)


def said(letters: list[DeadLetter]) -> dict[str, Any]:
    with capture_logs() as logs:
        dead_letter_log.log_dead_letters("book", letters)
    [line] = logs
    return dict(line)


def counted(topic: str, worker: str = "book") -> float:
    return REGISTRY.get_sample_value("sluice_dead_letters_total", {"worker": worker, "topic": topic}) or 0


def test_many_letters_are_one_line_that_says_where_and_why() -> None:
    line = said(
        [
            *(letter(offset) for offset in (9, 3, 5, 6, 7)),
            letter(4, topic="messages.receipts", partition=2, error="null value"),
        ]
    )

    assert (line["action"], line["log_level"], line["worker"], line["count"]) == ("dead_letters", "warning", "book", 6)
    assert line["records"] == "messages.inbound[0] offsets 3, 5 to 7, 9; messages.receipts[2] offset 4"
    assert line["reasons"] == ["JSON is malformed", "null value"]
    assert "sluice dead-letters list" in line["event"]
    assert MARKER.decode() not in str(line)


def test_a_line_stays_one_that_can_be_read() -> None:
    letters = [letter(2 * n, partition=p, error=f"reason {n}") for p in range(12) for n in range(100)]
    line = said(letters)

    assert line["count"] == 1_200
    assert line["records"].startswith("messages.inbound[0] offsets 0, 2, 4, 6, 8, and 95 more ranges; ")
    assert line["records"].endswith("; and 7 more partitions")
    assert line["reasons"] == [*(f"reason {n}" for n in range(5)), "and 95 more reasons"]


def test_without_letters_nothing_is_said() -> None:
    with capture_logs() as logs:
        dead_letter_log.log_dead_letters("book", [])
    assert logs == []


def test_each_letter_is_counted_by_its_topic() -> None:
    before = counted(TOPIC), counted("messages.receipts")
    said([letter(1), letter(2), letter(1, topic="messages.receipts")])
    assert (counted(TOPIC) - before[0], counted("messages.receipts") - before[1]) == (2, 1)


@pytest.fixture
def seen() -> Iterator[list[Any]]:
    with capture_logs() as logs:
        yield logs


async def test_what_a_worker_cannot_understand_is_told_by_the_poll(
    database: str, pool: Pool, broker: Broker, seen: list[Any]
) -> None:
    await book(pool)
    await broker.create(TOPIC)
    before = counted(TOPIC)
    await broker.produce(TOPIC, [(b"k", b"%d" % n) for n in range(5)], partition=1)
    await broker.produce(TOPIC, [(b"k", MARKER)] * 43, partition=1)
    async with running(spec_of(), database, broker):
        await broker.caught_up(pool, TOPIC)

    lines = [line for line in seen if line["action"] == "dead_letters"]
    assert sum(line["count"] for line in lines) == 43
    assert len(lines) < 43
    assert all(line["reasons"] == ["value: not a number"] for line in lines)
    assert lines[0]["records"].startswith("messages.inbound[1] offsets 5")
    assert MARKER.decode() not in str(lines)
    assert counted(TOPIC) - before == 43
