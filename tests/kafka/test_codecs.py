"""Every compression of Kafka's own clients can be read."""

import asyncio

import pytest
from asyncpg import Pool

from tests.runtime.ledgerbook import OUTPUT, TOPIC, book, rows, spec_of
from tests.support.brokers import Broker
from tests.support.workers import running


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_records_of_every_codec_are_applied(database: str, pool: Pool, broker: Broker, codec: str) -> None:
    await book(pool)
    await broker.create(TOPIC, OUTPUT, partitions=1)
    async with broker.producer(compression_type=codec) as producer:
        sent = [await producer.send(broker.topic_prefix + TOPIC, b"%d" % n, b"k") for n in range(100, 200)]
        await asyncio.gather(*sent)
    async with running(spec_of(), database, broker):
        await broker.caught_up(pool, TOPIC)
    assert await rows(pool) == list(range(100, 200))
