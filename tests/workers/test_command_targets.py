"""The target of a command with a number as people type it: contract 3.4, and section 10 on targets and regions."""

from typing import Any

import pytest
from asyncpg import Pool

from tests.workers.asking import ask, by_phone, details, give, results, rows, said
from tests.workers.records import batch, message
from tests.workers.runs import apply, start
from workers.messages import worker as inbound
from workers.records import Record

ANA = "+4915112345678"
TYPED = "0151 12345678"
BLOCKED = """
    SELECT address FROM sluice.contact_channels JOIN sluice.blocked_contacts USING (workspace_id, contact_id)
    WHERE channel = 'sms'
"""


def channel(channel_id: str, region: str | None, kind: str = "sms") -> Record[Any]:
    return ask("configure_channel", channel_id=channel_id, channel=kind, default_region=region)


async def ingest(pool: Pool, *records: Record[Any]) -> None:
    async with pool.acquire() as tx, tx.transaction():
        await inbound.apply(tx, batch(*records))


DE, US = (
    ask("configure_workspace", set={"default_region": "DE"}),
    ask("configure_workspace", set={"default_region": "US"}),
)


@pytest.mark.parametrize(
    "configured",
    [
        [DE],
        [DE, channel("sms-us", "US")],
        [channel("sms-de", "DE")],
        [channel("sms-de", "DE"), channel("sms-2", "DE"), channel("sms-3", None)],
        [channel("sms-de", "DE"), channel("wa-us", "US", "whatsapp")],
    ],
)
async def test_a_number_in_national_form_is_of_the_workspaces_region_or_of_its_channels_only_one(
    pool: Pool, configured: list[Record[Any]]
) -> None:
    await give(pool, *configured)
    await ingest(pool, message(ANA, channel="sms", channel_id="sms-de"))

    await give(pool, ask("block_contact", identity=by_phone(TYPED, "sms")))

    assert await rows(pool, BLOCKED) == [(ANA,)]


@pytest.mark.parametrize(
    "configured",
    [
        [],
        [channel("sms-3", None)],
        [channel("sms-de", "DE"), channel("sms-us", "US")],
        [channel("wa-de", "DE", "whatsapp")],
    ],
)
async def test_a_number_in_national_form_that_may_be_anybodys_is_refused(
    pool: Pool, configured: list[Record[Any]]
) -> None:
    await give(pool, *configured)
    await ingest(pool, message(TYPED, channel="sms", channel_id="sms-3"))

    outputs = await give(
        pool,
        ask("block_contact", minutes=1, identity=by_phone(TYPED, "sms")),
        ask("unblock_contact", minutes=2, identity=by_phone("447911123456", "sms")),
        ask("attach_contact", minutes=3, identity=by_phone(TYPED, "sms"), profile_name="Ana"),
        ask("block_contact", minutes=4, identity=by_phone(ANA, "sms")),
    )

    assert said(outputs)[:3] == ["invalid"] * 3
    for detail in details(outputs)[:3]:
        assert detail is not None
        assert "`identity.address`" in detail
        assert "channel_id" in detail
        assert "151" not in detail
    assert await rows(pool, BLOCKED) == [(ANA,)]
    assert await rows(pool, "SELECT 1 FROM sluice.profile_overview") == []
    audited = (
        "SELECT outcome, reason, detail, target FROM sluice.audit_log WHERE reason = 'invalid' ORDER BY at LIMIT 1"
    )
    [(outcome, reason, detail, target)] = await rows(pool, audited)
    assert (outcome, reason) == ("refused", "invalid")
    assert "`identity.address`" in detail
    assert "151" not in target


async def test_with_a_channel_a_number_is_read_as_that_channel_reads_it(pool: Pool) -> None:
    await give(pool, US, channel("sms-de", "DE"))
    await ingest(pool, message(TYPED, channel="sms", channel_id="sms-de"), message("12345", channel="sms"))

    given = by_phone(TYPED, "sms") | {"channel_id": "sms-de"}
    await give(pool, ask("block_contact", identity=given))
    assert await rows(pool, BLOCKED) == [(ANA,)]


async def test_without_any_region_a_channel_that_keeps_the_number_as_it_came_finds_it(pool: Pool) -> None:
    await ingest(pool, message(TYPED, channel="sms", channel_id="sms-3"))

    given = by_phone(TYPED, "sms") | {"channel_id": "sms-3"}
    await give(pool, ask("block_contact", identity=given))
    assert await rows(pool, BLOCKED) == [(TYPED,)]


@pytest.mark.parametrize("address", ["12345", "MyBank", ANA, "00 49 151 12345678"])
async def test_what_no_region_makes_another_number_needs_none(pool: Pool, address: str) -> None:
    await ingest(pool, message(address, channel="sms", channel_id="sms-3"))
    await give(pool, ask("block_contact", minutes=1, identity=by_phone(address, "sms")))
    assert len(await rows(pool, BLOCKED)) == 1


async def test_settings_of_the_same_batch_count(pool: Pool) -> None:
    await give(pool, ask("block_contact", minutes=1, identity=by_phone(TYPED, "sms")), channel("sms-de", "DE"))
    assert await rows(pool, BLOCKED) == [(ANA,)]


@pytest.mark.parametrize("region", ["UK", "EU", "ZZ", "de", "DEU", "", 49])
async def test_a_region_that_the_numbering_data_does_not_know_is_refused(pool: Pool, region: object) -> None:
    outputs = await give(
        pool,
        ask("configure_channel", channel_id="sms-1", channel="sms", default_region=region),
        ask("configure_workspace", set={"default_region": region}),
    )

    assert said(outputs) == ["invalid", "invalid"]
    for detail in details(outputs):
        assert detail is not None
        assert "default_region" in detail
    assert await rows(pool, "SELECT default_region FROM sluice.channels") == []


@pytest.mark.parametrize("region", ["GB", "XK", "AC", "BR"])
async def test_a_region_that_it_knows_is_taken(pool: Pool, region: str) -> None:
    changed = await results(
        pool,
        ask("configure_channel", channel_id="sms-1", channel="sms", default_region=region),
        ask("configure_workspace", set={"default_region": region}),
    )
    assert changed == [{"channel": "sms", "default_region": region}, {"default_region": region}]


async def test_a_run_started_for_a_number_in_national_form_is_its_contacts(pool: Pool) -> None:
    await give(pool, channel("sms-de", "DE"))
    await ingest(pool, message(ANA, channel="sms", channel_id="sms-de"))

    await apply(pool, start("r", 1, identity=by_phone(TYPED, "sms")))
    assert await rows(pool, "SELECT state FROM sluice.workflow_runs") == [("running",)]
