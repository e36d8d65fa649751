"""`sluice channels replay`: what a receiver did not understand is mapped again, and only that."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from connectors.provider import Webhook
from connectors.providers import PROVIDERS
from connectors.receiver.unmapped import LARGEST, unmapped
from connectors.understanding import Understanding
from schemas.topics import EVERY_TOPIC
from tests.cli.commands import Ended, Sluice
from tests.connectors.vectors import channel_of
from tests.support.brokers import Broker
from workers.errors import ExitCode
from workers.process.production import Produced

CAME: Final = datetime(2026, 12, 1, 10, tzinfo=UTC)
UNMAPPED: Final = "webhooks.unmapped"
CUSTOM: Final = channel_of("custom")
FILE: Final = f"""
[[channel]]
workspace_id = "{CUSTOM.workspace_id}"
channel_id = "{CUSTOM.channel_id}"
provider = "custom"
channel = "webchat"
signing_secret = "file:secret"
send_url = "https://chat.acme.example/messages"

[[channel]]
workspace_id = "acme"
channel_id = "other"
provider = "custom"
channel = "webchat"
signing_secret = "file:secret"
send_url = "https://chat.acme.example/messages"
"""


def sluice_of(broker: Broker, folder: Path) -> Sluice:
    (folder / "channels.toml").write_text(FILE, encoding="utf-8")
    (folder / "secret").write_text("quiet", encoding="utf-8")
    servers = {"KAFKA_BOOTSTRAP": broker.bootstrap, "TOPIC_PREFIX": broker.topic_prefix}
    return Sluice(folder, CHANNELS_FILE="channels.toml", **servers)


def said(*mids: str) -> bytes:
    events = [{"type": "message", "mId": mid, "contactId": "ada", "message": {"text": "hello"}} for mid in mids]
    return json.dumps({"events": events}).encode()


def kept(body: bytes, channel_id: str = CUSTOM.channel_id, now: datetime = CAME) -> Produced:
    channel = channel_of("custom", channel_id=channel_id)
    return unmapped(channel, Webhook("POST", "", {}, body), ["message: Expected more"], now)


async def keep(broker: Broker, *webhooks: Produced) -> None:
    for one in webhooks:
        await broker.produce(UNMAPPED, [(one.record.key, one.record.value)], headers=list(one.headers))


async def replay(sluice: Sluice, *arguments: str) -> Ended:
    return await asyncio.to_thread(sluice.run, "channels", "replay", *arguments)


async def rows(sluice: Sluice, code: ExitCode, *arguments: str) -> dict[str, Any]:
    ended = await replay(sluice, "--json", *arguments)
    assert (ended.code, ended.err) == (code, "")
    return {row["channel"]: row for row in json.loads(ended.out)}


async def test_what_can_be_mapped_now_is_produced_as_it_would_have_been(broker: Broker, tmp_path: Path) -> None:
    await broker.create(*EVERY_TOPIC)
    sluice = sluice_of(broker, tmp_path)
    webhooks = (said("1", "2"), b"{not json", said("3"), b" " * (LARGEST + 1))
    await keep(broker, *map(kept, webhooks), kept(said("4"), "other"), kept(said("5"), "gone"))

    dry = await rows(sluice, ExitCode.FAULT, "--dry-run")
    assert await broker.read_all("messages.inbound") == []
    told = await rows(sluice, ExitCode.FAULT)
    assert dry == told
    row = told[CUSTOM.place]
    counts = {name: row[name] for name in ("webhooks", "mapped", "records", "unmapped", "references", "unknown")}
    assert counts == {"webhooks": 4, "mapped": 2, "records": 3, "unmapped": 1, "references": 1, "unknown": 0}
    assert len(row["errors"]) == 1
    assert told["acme/gone"]["unknown"] == 1

    found = Understanding()
    for body in (said("1", "2"), said("3")):
        PROVIDERS["custom"].understand(CUSTOM, Webhook("POST", "", {}, body), found, CAME)
    produced = [
        record for record in await broker.read_all("messages.inbound") if b'"other"' not in (record.value or b"")
    ]
    assert sorted((r.key, r.value) for r in produced) == sorted((r.key, r.value) for r in found.records)
    assert len(await broker.read_all(UNMAPPED)) == 6

    alone = await rows(sluice, ExitCode.CLEAN, "--channel", "acme/other")
    assert list(alone) == ["acme/other"]
    page = (await replay(sluice)).out
    assert "acme/gone" in page
    assert "quiet" not in page


async def test_a_time_bounds_what_is_read(any_broker: Broker, tmp_path: Path) -> None:
    await any_broker.create(*EVERY_TOPIC)
    sluice = sluice_of(any_broker, tmp_path)
    nothing = await replay(sluice)
    assert (nothing.code, nothing.out) == (ExitCode.CLEAN, "Nothing is on webhooks.unmapped.\n")
    await keep(any_broker, kept(said("1")), kept(said("2"), "other"))
    await asyncio.sleep(0.05)
    since = datetime.now(UTC)
    await keep(any_broker, kept(said("3")), kept(said("4")))

    told = await rows(sluice, ExitCode.CLEAN, "--since", since.isoformat())
    assert {place: row["webhooks"] for place, row in told.items()} == {CUSTOM.place: 2}
    assert len(await any_broker.read("messages.inbound", 2)) == 2
    everything = await rows(sluice, ExitCode.CLEAN, "--since", (since - timedelta(days=1)).isoformat())
    assert {place: row["webhooks"] for place, row in everything.items()} == {CUSTOM.place: 3, "acme/other": 1}
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert (await replay(sluice, "--since", later)).out == "Nothing is on webhooks.unmapped since then.\n"


async def test_many_and_large_webhooks_are_read_to_the_end(broker: Broker, tmp_path: Path) -> None:
    await broker.create(*EVERY_TOPIC)
    large = json.dumps({"events": [], "padding": "x" * 1_500_000}).encode()
    async with broker.producer() as producer:
        for number in range(300):
            one = kept(said(str(number)) if number % 100 else large)
            await producer.send(UNMAPPED, one.record.value, one.record.key, number % 4, headers=list(one.headers))
    told = await rows(sluice_of(broker, tmp_path), ExitCode.CLEAN)
    assert (told[CUSTOM.place]["webhooks"], told[CUSTOM.place]["records"]) == (300, 297)
    assert len(await broker.read_all("messages.inbound")) == 297


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--channel", "acme/nobody"), "the channels file has no channel 'acme/nobody'"),
        (("--since", "yesterday"), "--since: expected a time"),
        (("--colour",), "--colour"),
    ],
)
async def test_wrong_use_is_exit_code_2(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    ended = await replay(sluice_of(Broker("embedded", "127.0.0.1:1"), tmp_path), *arguments)
    assert (ended.code, ended.out) == (ExitCode.SETUP, "")
    assert words in ended.err
    assert "Traceback" not in ended.err


async def test_kafka_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    ended = await replay(sluice_of(Broker("embedded", "127.0.0.1:1"), tmp_path))
    assert (ended.code, ended.out) == (ExitCode.FAULT, "")
    assert ended.err == "sluice: Kafka does not answer at SLUICE_KAFKA_BOOTSTRAP (127.0.0.1:1)\n"


@pytest.mark.kafka
async def test_missing_topics_are_exit_code_2(kafka: Broker, tmp_path: Path) -> None:
    ended = await replay(sluice_of(kafka, tmp_path))
    assert ended.code == ExitCode.SETUP
    assert "run `sluice topics`" in ended.err
