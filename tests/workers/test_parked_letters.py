"""A receipt nobody claims for a day becomes a dead letter: the record it was, byte for byte."""

from dataclasses import replace

import pytest
from asyncpg import Pool

from tests.support.brokers import Broker
from tests.support.databases import until
from tests.support.processes import at_work, hurried
from tests.workers.records import uuid_of
from workers.outbound.parking import NEVER_SENT
from workers.plans import plan_of

HEADERS = [("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("raw", b"\x00\xff")]
# Neither its white space nor a field of tomorrow would outlive being written again.
RECEIPT = (
    b'{ "workspace_id":"acme",\t"channel_id":"whatsapp-main","send_id":"%s",\n'
    b'"status":"sent","at":"2026-03-10T10:00:00.000+02:00","field_of_tomorrow":[1.0, 1e3] }'
) % str(uuid_of("never")).encode()


@pytest.mark.parametrize("key", [b"acme:never", None])
async def test_a_receipt_nobody_claims_is_published_as_it_came(
    database: str, pool: Pool, any_broker: Broker, key: bytes | None
) -> None:
    plan = hurried(plan_of(["outbound", "upkeep"]), 0.3)
    async with at_work(database, any_broker, replace(plan, tails=())):
        [sent] = await any_broker.produce("messages.receipts", [(key, RECEIPT)], headers=HEADERS)
        await until(pool, "SELECT count(*) = 1 FROM sluice_core.parked_receipts")
        await pool.execute("UPDATE sluice_core.parked_receipts SET parked_at = parked_at - interval '1 day'")
        [letter] = await any_broker.read("dead.letters", 1)
        await until(pool, "SELECT NOT EXISTS (SELECT FROM sluice_core.outbox)")
    assert (letter.key, letter.value) == (key, RECEIPT)
    assert list(letter.headers[:6]) == [
        ("error", NEVER_SENT.encode()),
        ("source_topic", b"messages.receipts"),
        ("source_partition", str(sent.partition).encode()),
        ("source_offset", str(sent.offset).encode()),
        *HEADERS,
    ]
    assert letter.header("ce_type") == b"sluice.dead.letters"
    row = await pool.fetchrow("SELECT * FROM sluice_core.dead_letters")
    assert row is not None
    assert (row["source_partition"], row["source_offset"], row["value"], row["status"]) == (*sent, RECEIPT, "new")
    assert await pool.fetchval("SELECT count(*) FROM sluice_core.parked_receipts") == 0
    assert len(await any_broker.read_all("dead.letters")) == 1
