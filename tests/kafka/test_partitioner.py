"""An event goes to the partition that Kafka's default partitioner chooses for its key."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from aiokafka import partitioner as aiokafka
from hypothesis import given
from hypothesis import strategies as st

from workers.kafka.partitioner import murmur2, partition_of
from workers.records import Event


@given(st.binary(max_size=400))
def test_a_key_is_hashed_as_aiokafka_hashes_it(key: bytes) -> None:
    assert murmur2(key) == aiokafka.murmur2(key) & 0xFFFFFFFF


@pytest.mark.parametrize(
    ("key", "hashed"),  # from Kafka's own test, UtilsTest.testMurmur2
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_and_as_kafka_does(key: bytes, hashed: int) -> None:
    assert murmur2(key) == hashed & 0xFFFFFFFF


def fact(key: bytes | None, value: bytes, n: int = 0) -> Event:
    return Event("topic", key, value, UUID(int=n), "acme", datetime(2026, 1, 1, tzinfo=UTC))


def test_a_fact_without_a_key_goes_the_same_way_each_time() -> None:
    assert len({partition_of(fact(None, b"value", n), 12) for n in range(5)}) == 1
    assert {partition_of(fact(None, b"%d" % n), 3) for n in range(50)} == {0, 1, 2}
    assert {partition_of(fact(b"%d" % n, b""), 3) for n in range(50)} == {0, 1, 2}
