"""Metrics of receivers and senders read 0 before anything happens, as processes show them."""

import asyncio
from pathlib import Path
from socket import socket
from typing import Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from connectors.receiver import process
from connectors.receiver.taking import WebhookResult
from schemas.topics import TOPICS
from tests.cli.commands import Sluice
from tests.support.brokers import Broker
from tests.support.databases import sender_of
from workers.errors import ExitCode
from workers.process.metrics.of_receivers import ANSWERS

CHANNELS: Final = """
[[channel]]
workspace_id = "acme"
channel_id = "tg-main"
provider = "telegram"
bot_token = "file:secret"
secret_token = "file:secret"

[[channel]]
workspace_id = "acme"
channel_id = "line-main"
provider = "line"
channel_secret = "file:secret"
channel_access_token = "file:secret"
"""
PROVIDERS: Final = ("line", "telegram")
OF_RECEIVERS: Final = {
    *(("sluice_webhooks_total", ("answer", answer), ("provider", p)) for answer in ANSWERS for p in PROVIDERS),
    *(
        ("sluice_webhook_records_total", ("provider", provider), ("topic", topic))
        for provider in PROVIDERS
        for topic in ("messages.inbound", "messages.receipts")
    ),
    *(
        ("sluice_webhook_events_ignored_total", ("provider", provider), ("type", "another account"))
        for provider in PROVIDERS
    ),
    *(("sluice_webhooks_unmapped_total", ("provider", provider)) for provider in PROVIDERS),
    *(("sluice_webhook_seconds_count", ("provider", provider)) for provider in PROVIDERS),
}
OF_SENDERS: Final = {
    *(
        ("sluice_provider_calls_total", ("outcome", outcome), ("provider", provider))
        for outcome in ("sent", "failed", "throttled", "ambiguous")
        for provider in PROVIDERS
    ),
    *(("sluice_provider_call_seconds_count", ("provider", provider)) for provider in PROVIDERS),
    *(("sluice_provider_answers_total", ("code", "none"), ("provider", provider)) for provider in PROVIDERS),
    *(
        ("sluice_dispatches_total", ("outcome", outcome))
        for outcome in ("reported", "denied", "claimed_before", "other_channel", "unreadable")
    ),
    *(
        ("sluice_claims_denied_total", ("reason", reason))
        for reason in ("already_claimed", "superseded", "not_dispatched", "unknown_send")
    ),
    ("sluice_dispatches_open",),
}
Sample = tuple[str | tuple[str, str], ...]


def scraped(port: int) -> dict[Sample, float]:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        families = text_string_to_metric_families(str(answer.read(), "utf-8"))
    return {(one.name, *sorted(one.labels.items())): one.value for family in families for one in family.samples}


def free_ports(count: int) -> list[int]:
    probes = [socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def asked(url: str, body: bytes, **headers: str) -> int:
    try:
        with urlopen(Request(url, body, headers), timeout=10) as answer:  # noqa: S310 - our own server
            return int(answer.status)
    except HTTPError as error:
        error.close()
        return error.code


def _requests(found: dict[Sample, float]) -> list[tuple[dict[str, str], float]]:
    counted = [(dict(one[1:]), value) for one, value in found.items() if one[0] == "sluice_http_requests_total"]  # type: ignore[arg-type]
    assert {labels["server"] for labels, _ in counted} <= {"receiver"}
    return counted


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "channels.toml").write_text(CHANNELS, encoding="utf-8")
    (tmp_path / "secret").write_text("of-this-test", encoding="utf-8")
    return tmp_path


def test_every_answer_of_the_intake_has_its_label() -> None:
    assert {result.name.lower() for result in WebhookResult} < set(ANSWERS)


async def test_what_a_receiver_has_not_seen_reads_zero_and_what_it_refuses_is_counted(
    broker: Broker, folder: Path
) -> None:
    await broker.create(*process.TOPICS)
    port, metrics = free_ports(2)
    sluice = Sluice(folder, KAFKA_BOOTSTRAP=broker.bootstrap, CHANNELS_FILE="channels.toml", METRICS_PORT=metrics)
    with sluice.running("receive", "--port", str(port)) as running:
        running.until_said("ready")
        found = await asyncio.to_thread(scraped, metrics)
        webhook = f"http://127.0.0.1:{port}/webhooks/acme/tg-main"
        assert await asyncio.to_thread(asked, webhook, b"{}") == 403
        assert await asyncio.to_thread(asked, webhook, b"{}", **{"Content-Encoding": "gzip"}) == 415
        assert await asyncio.to_thread(asked, webhook, b"{}", **{"Content-Length": "5000000"}) == 413
        assert await asyncio.to_thread(asked, f"http://127.0.0.1:{port}/elsewhere/acme", b"{}") == 404
        after = await asyncio.to_thread(scraped, metrics)
        assert running.stop().code == ExitCode.CLEAN
    assert found.keys() >= OF_RECEIVERS, OF_RECEIVERS - found.keys()
    assert {found[one] for one in OF_RECEIVERS} == {0}
    codes = {labels["code"]: value for labels, value in _requests(after)}
    assert codes == {"403": 1, "415": 1, "413": 1, "404": 1}
    assert {labels["route"] for labels, _ in _requests(after)} == {"/webhooks/{workspace_id}/{channel_id}", "none"}
    grown = {one for one in OF_RECEIVERS if after[one] == 1 and one[0] == "sluice_webhooks_total"}
    assert grown == {
        ("sluice_webhooks_total", ("answer", answer), ("provider", "telegram"))
        for answer in ("forbidden", "encoded", "too_large")
    }


async def test_what_a_sender_has_not_done_reads_zero(database: str, broker: Broker, folder: Path) -> None:
    await broker.create(*TOPICS)
    [metrics] = free_ports(1)
    sluice = Sluice(
        folder,
        DATABASE_URL=await sender_of(database),
        KAFKA_BOOTSTRAP=broker.bootstrap,
        CHANNELS_FILE="channels.toml",
        METRICS_PORT=metrics,
    )
    with sluice.running("send") as running:
        running.until_said("ready")
        found = await asyncio.to_thread(scraped, metrics)
        assert running.stop().code == ExitCode.CLEAN
    assert found.keys() >= OF_SENDERS, OF_SENDERS - found.keys()
    assert {found[one] for one in OF_SENDERS} == {0}
