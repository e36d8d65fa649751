"""The caches for values that outsiders choose are bounded in bytes, not only in entries."""

import asyncio
import gc
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from schemas import limits
from tests.workers.records import message
from workers.kafka.partitioner import partition_of
from workers.messages.arrivals import REMEMBERED, arrivals_of
from workers.records import Event, Record
from workers.rules import mail
from workers.rules.cycles import calendar_of
from workers.rules.workspace import Policies
from workers.store.workspaces import Workspace

SOME = 1_000
MOST_BYTES = 32 * 1024 * 1024
TENANTS = {"acme": Workspace("acme", None, (), Policies(), calendar_of(()))}


def grown(work: Callable[[], None]) -> int:
    """By how many bytes the process holds more afterwards."""
    gc.collect()
    tracemalloc.start()
    try:
        work()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


LONG = limits.ADDRESS - 30
ADDRESSES: dict[str, Callable[[int], dict[str, str]]] = {
    "numbers": lambda n: {"address": f"+49151{n:08}"},
    "long mail": lambda n: {"channel": "email", "address": f"{n:06}{'a' * (LONG - 20)}@example.com"},
    "long names": lambda n: {"channel": "email", "address": f"{'💙' * (LONG - 40)}{n:06}@example.com"},
    "no numbers": lambda n: {"address": f"{'x' * LONG}{n:06}"},
    "long channels": lambda n: {
        "channel": "line",
        "channel_id": f"{'💙' * (limits.ID - 6)}{n:06}",
        "address": f"{'💙' * LONG}{n:06}",
    },
    "just short enough": lambda n: {"channel": "line", "channel_id": f"{'💙' * 20}{n:06}", "address": f"{n:032}"},
}


@pytest.mark.parametrize("kind", ADDRESSES)
def test_very_many_addresses_fill_no_memory(kind: str) -> None:
    def understand_some() -> None:
        asyncio.run(_understood(list(_messages(ADDRESSES[kind]))))

    asyncio.run(_understood([]))  # what a first loop keeps
    assert grown(understand_some) / SOME * REMEMBERED < MOST_BYTES


async def _understood(records: Sequence[Record[Any]]) -> None:
    arrivals_of(records, TENANTS)


def _messages(of: Callable[[int], dict[str, str]]) -> Iterator[Record[Any]]:
    for n in range(SOME):
        yield message(**of(n), provider_message_id=f"{n}")  # type: ignore[arg-type]


def test_very_many_long_domains_fill_no_memory() -> None:
    mail.parse_address("a@ü.example")  # loads tables, once

    def understand_all() -> None:
        for n in range(500):
            mail.parse_address(f"a@{n:06}.{'ü' * 250}.example")

    assert grown(understand_all) < 50_000


def test_very_many_long_keys_fill_no_memory() -> None:
    def place_all() -> None:
        for n in range(30):
            key = b"%06d" % n + b"k" * 10_000
            partition_of(Event("t", key, b"", UUID(int=0), "acme", datetime(2026, 1, 1, tzinfo=UTC)), 12)

    assert grown(place_all) < 50_000
