"""A receipt without an attempt for a day becomes a dead letter: the original record, byte for byte."""

from dataclasses import replace

import pytest
from asyncpg import Pool
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from tests.support.brokers import Broker
from tests.support.databases import until
from tests.support.processes import at_work, hurried
from tests.workers.records import at, uuid_of
from tests.workers.sending import receipt, send, transact
from workers.app.composition import plan_of
from workers.sends.early_receipts import NEVER_SENT
from workers.sends.jobs import JOBS

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
    async with at_work(database, any_broker, replace(plan, repaired=())):
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


async def test_what_is_given_up_is_told_and_counted_as_any_dead_letter(pool: Pool) -> None:
    def counted() -> float:
        labels = {"worker": "outbound", "topic": "messages.receipts"}
        return REGISTRY.get_sample_value("sluice_dead_letters_total", labels) or 0

    [job] = [job for job in JOBS if job.name == "give up parked receipts"]
    before = counted()
    await send(pool, receipt("sent", "never", minutes=0), receipt("read", "never", minutes=0))
    with capture_logs() as logs:
        await transact(pool, lambda tx: job.run(tx, at(24 * 60 + 1)))

    [line] = logs
    assert (line["action"], line["count"], line["reasons"]) == ("dead_letters", 2, [NEVER_SENT])
    assert counted() - before == 2
