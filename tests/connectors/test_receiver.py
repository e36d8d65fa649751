"""The receiver over real sockets and a broker: each answer, and what it means for the topics."""

import asyncio
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import pytest
from prometheus_client import REGISTRY

from connectors.provider import MAX_BODY, Channel, Webhook
from connectors.providers import PROVIDERS
from connectors.receiver import http, taking
from connectors.receiver.unmapped import LARGEST
from connectors.simulator.played import Said, played
from connectors.understanding import Understanding
from schemas.fields import utc_text
from tests.connectors.serving import Reply, Server, receiving
from tests.connectors.test_lmtp import HELP, channel_at, connected
from tests.connectors.test_lmtp import listening as lmtp_at
from tests.connectors.test_simulator_agrees import person_of
from tests.connectors.test_vectors import NOW, webhook_of
from tests.connectors.vectors import FILES, channel_of
from tests.support.brokers import Broker
from tests.support.ports import free_port
from workers.app.settings import load_settings
from workers.dev.broker import embedded_broker
from workers.process.production import Production

TELEGRAM: Final = channel_of("telegram")
WHATSAPP: Final = channel_of("whatsapp_cloud")
CUSTOM: Final = channel_of("custom")
TOKEN: Final = {"x-telegram-bot-api-secret-token": TELEGRAM.keys.secret_token.text}
BY_HTTP: Final = sorted(name for name in PROVIDERS if name != "smtp")
by_http: Final = pytest.mark.parametrize("name", BY_HTTP)


def said(channel: Channel, number: int = 7, text: str = "Hello") -> Webhook:
    """The signed webhook of a message."""
    person = Said(person_of(channel.provider.name), text, "Ada", number, NOW)
    return played(channel.provider).say(channel, person)


async def given(server: Server, channel: Channel, webhook: Webhook) -> Reply:
    return await server.posts(channel, webhook.body, webhook.headers, webhook.query)


def by_meta(body: bytes, channel: Channel = WHATSAPP) -> dict[str, str]:
    return {"x-hub-signature-256": "sha256=" + hmac.new(channel.keys.app_secret.key, body, sha256).hexdigest()}


def by_custom(body: bytes) -> dict[str, str]:
    at = int(NOW.timestamp())
    signature = hmac.new(CUSTOM.keys.signing_secret.key, f"{at}.".encode() + body, sha256).hexdigest()
    return {"x-sluice-signature": f"t={at},v1={signature}"}


def update(text: object, number: int = 1) -> bytes:
    chat = {"id": 5, "type": "private"}
    message = {"message_id": number, "from": {"id": 5, "first_name": "Ada"}, "chat": chat, "date": 1796119200}
    return json.dumps({"update_id": number, "message": message | {"text": text}}, ensure_ascii=False).encode()


async def values(broker: Broker, topic: str, count: int) -> list[Any]:
    return [json.loads(record.value or b"") for record in await broker.read(topic, count)]


async def nothing_is_on(broker: Broker, *topics: str) -> bool:
    return not [record for topic in topics for record in await broker.read_all(topic)]


@by_http
async def test_a_message_is_acknowledged_before_200(broker: Broker, name: str) -> None:
    channel = channel_of(name)
    async with receiving(broker, [channel]) as server:
        reply = await given(server, channel, said(channel))
        [record] = await broker.read_all("messages.inbound")

    media_type, body = channel.provider.acknowledges
    assert (reply.status, reply.body, reply.headers["content-type"].partition(";")[0]) == (200, body, media_type)
    assert json.loads(record.value or b"")["channel_id"] == channel.channel_id
    assert await nothing_is_on(broker, "webhooks.unmapped", "messages.receipts")


@by_http
async def test_a_repeat_is_taken_again_with_the_same_id(broker: Broker, name: str) -> None:
    channel = channel_of(name)
    async with receiving(broker, [channel]) as server:
        replies = [await given(server, channel, said(channel)) for _ in range(2)]
        first, second = await broker.read_all("messages.inbound")

    assert [reply.status for reply in replies] == [200, 200]
    assert (first.key, first.value) == (second.key, second.value)


@pytest.mark.parametrize("provider", BY_HTTP)
async def test_whatever_is_not_signed_is_403_and_leaves_nothing(
    broker: Broker, provider: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = [case for case in FILES[provider]["signatures"] if case.get("method", "POST") == "POST"]
    for case in cases:
        channel, now = (
            channel_of(provider, **case.get("channel", {})),
            datetime.fromisoformat(case.get("now", str(NOW))),
        )
        webhook = webhook_of(case)
        async with receiving(broker, [channel], now) as server:
            capsys.readouterr()
            reply = await given(server, channel, webhook)
        assert reply.status == (200 if case["valid"] else 403), case["name"]
        if not case["valid"]:
            assert reply.body == b""
            assert capsys.readouterr().out == ""


@by_http
async def test_parts_and_neighbours_of_a_signed_webhook_are_403(broker: Broker, name: str) -> None:
    channel = channel_of(name)
    whole = said(channel)
    changed: dict[str, Webhook] = {"no headers": whole._replace(headers={})}
    for header, value in whole.headers.items():
        if header not in ("content-type", "host"):
            changed[f"{header} cut"] = whole._replace(headers=dict(whole.headers) | {header: value[:-1]})
            changed[f"{header} longer"] = whole._replace(headers=dict(whole.headers) | {header: value + "0"})
            changed[f"{header} of other letters"] = whole._replace(headers=dict(whole.headers) | {header: "ÿþ" * 20})
            changed[f"{header} long"] = whole._replace(headers=dict(whole.headers) | {header: "x" * 30_000})
    if name not in ("telegram", "mailgun"):  # they sign no content
        changed["body cut"] = whole._replace(body=whole.body[:-1])
        changed["body longer"] = whole._replace(body=whole.body + b" ")
        changed["no body"] = whole._replace(body=b"")
    if name == "mailgun":
        changed = {"no body": whole._replace(body=b""), "field": whole._replace(body=whole.body[:-3])}
    async with receiving(broker, [channel]) as server:
        for what, webhook in changed.items():
            reply = await given(server, channel, webhook)
            assert reply.status == 403, what
        assert (await given(server, channel, whole)).status == 200


async def test_paths_and_methods(broker: Broker) -> None:
    async with receiving(broker, [TELEGRAM, WHATSAPP]) as server:

        async def status(method: str, target: str, **headers: str) -> int:
            return (await server.asks(method, target, TOKEN | headers, b"{}")).status

        for target in (
            "/",
            "/webhooks",
            "/webhooks/acme",
            "/webhooks/acme/other",
            "/webhooks/other/tg-main",
            "/webhooks/acme/tg-main/",
            "//webhooks/acme/tg-main",
            "/webhooks//acme/tg-main",
            "/webhooks/acme/tg-main%00",
            "/webhooks/acme/tg-main%2f",
            "/webhooks/acme/./tg-main",
            "/webhooks/acme/x/../tg-main",
            "/webhooks/acme/%74g-main%20",
            "/webhooks/acme/%ff",
            "/webhooks/ACME/tg-main",
            "/webhooks/acme/tg-main;a=b",
            "/webhooks/acme/tg-m%C3%A4in",
            "*",
        ):
            assert await status("POST", target) == 404, target
        for method in ("HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
            assert await status(method, TELEGRAM.webhook) == 405, method
        assert await status("GET", TELEGRAM.webhook) == 405
        reply = await server.asks("GET", TELEGRAM.webhook)
        assert (reply.status, reply.headers["allow"]) == (405, "POST")
        forwarded = {"x-forwarded-host": "evil.example", "x-forwarded-prefix": "/x", "x-forwarded-for": "1.2.3.4"}
        assert (await server.asks("POST", TELEGRAM.webhook, TOKEN | forwarded | {"host": "evil.example"})).status == 200


@pytest.mark.parametrize("name", ["whatsapp_cloud", "messenger", "instagram"])
async def test_an_address_is_verified_by_its_token_alone(broker: Broker, name: str) -> None:
    channel = channel_of(name)
    token = channel.keys.verify_token.text
    async with receiving(broker, [channel]) as server:

        async def asked(query: str) -> tuple[int, bytes]:
            reply = await server.asks("GET", f"{channel.webhook}?{query}")
            return reply.status, reply.body

        right = f"hub.mode=subscribe&hub.verify_token={token}"
        assert await asked(f"{right}&hub.challenge=115%3C8") == (200, b"115<8")
        for wrong in (
            "",
            right.replace(token, "") + "&hub.challenge=1",
            right.replace(token, token[:-1]) + "&hub.challenge=1",
            right.replace(token, "%FF%00") + "&hub.challenge=1",
            right.replace("subscribe", "other") + "&hub.challenge=1",
            right,
        ):
            assert await asked(wrong) == (403, b""), wrong


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, b" " * (MAX_BODY - 2) + b"{}", 200),
        ({}, b" " * (MAX_BODY + 1), 413),
        ({"content-length": str(MAX_BODY + 1)}, b"", 413),
        ({"content-length": "9" * 18}, b"", 413),
        ({"content-encoding": "gzip"}, b"{}", 415),
        ({"content-encoding": "deflate, gzip"}, b"{}", 415),
        ({"content-encoding": "Identity"}, b"{}", 200),
        ({"content-type": "\xff\xfe; charset=\x80"}, b"{}", 200),
        ({"content-type": "multipart/form-data; boundary=" + "x" * 10_000}, b"{}", 200),
    ],
)
async def test_bodies_are_bounded_and_not_inflated(
    broker: Broker, headers: Mapping[str, str], body: bytes, status: int
) -> None:
    async with receiving(broker, [TELEGRAM]) as server:
        assert (await server.asks("POST", TELEGRAM.webhook, TOKEN | dict(headers), body)).status == status


async def test_a_body_without_a_length_is_bounded(broker: Broker) -> None:
    head = f"POST {TELEGRAM.webhook} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    async with receiving(broker, [TELEGRAM]) as server, server.connected() as connection:
        await connection.send(head)
        for _ in range(MAX_BODY // 65_536 + 1):
            await connection.send(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
        assert (await connection.reply()).status == 413


async def test_a_body_that_does_not_end_is_408(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_BODY_S", 0.2)
    head = f"POST {TELEGRAM.webhook} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{{".encode()
    async with receiving(broker, [TELEGRAM]) as server, server.connected() as connection:
        await connection.send(head)
        assert (await connection.reply()).status == 408


async def test_large_bodies_of_strangers_do_not_keep_small_ones_out(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_HELD_BYTES", 200_000)
    async with receiving(broker, [TELEGRAM]) as server, server.connected() as stranger:
        await stranger.send(
            f"POST {TELEGRAM.webhook} HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n".encode() + b"x" * 199_950
        )
        await asyncio.sleep(0.3)
        large = await server.posts(TELEGRAM, update("Hi") + b" " * 150_000, TOKEN)
        small = await server.posts(TELEGRAM, update("Hi"), TOKEN)

    assert (large.status, large.headers["retry-after"], small.status) == (503, "5", 200)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"\xff\xfe",
        b'{"update_id": 1, "message": {"text": "half a pair \\ud83d"}}',
        b'{"update_id":' + b"9" * 100_000 + b"}",
        b"[" * MAX_BODY,
        b'{"a":' * 800_000,
        b'{"update_id":1}{"update_id":2}',
        b"\0" * 1_000,
    ],
    ids=["empty", "null", "no text", "half a pair", "a long number", "deep lists", "deep objects", "two", "zeros"],
)
async def test_what_is_not_understood_is_kept_byte_for_byte(broker: Broker, body: bytes) -> None:
    headers = TOKEN | {"content-type": "application/json; charset=\xff", "x-other": "1"}
    async with receiving(broker, [TELEGRAM]) as server:
        reply = await server.posts(TELEGRAM, body, headers, "a=%00&b")
        [record] = await broker.read_all("webhooks.unmapped")

    assert (reply.status, record.key, record.value) == (200, b"acme:tg-main", body)
    told = {name: (value or b"").decode() for name, value in record.headers}
    assert told.pop("error").startswith("update: Expected")
    assert told == {
        "provider": "telegram",
        "received_at": utc_text(NOW),
        "query": "a=%00&b",
        "content-type": "application/json; charset=\xff",
    }


async def test_of_what_is_too_large_to_keep_size_and_digest_are_kept(broker: Broker) -> None:
    channel = channel_of("mailgun")
    at = str(int(NOW.timestamp()))
    signature = hmac.new(channel.keys.signing_key.key, f"{at}token".encode(), sha256).hexdigest()
    body = f"timestamp={at}&token=token&signature={signature}&padding=".encode() + b"x" * LARGEST
    async with receiving(broker, [channel]) as server:
        reply = await server.posts(channel, body, {"content-type": "application/x-www-form-urlencoded"})
        [record] = await broker.read_all("webhooks.unmapped")

    assert reply.status == 200
    assert json.loads(record.value or b"") == {"size": len(body), "sha256": sha256(body).hexdigest()}


@by_http
async def test_a_fault_of_ours_is_no_500(broker: Broker, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    def understand(_channel: Channel, webhook: Webhook, found: Understanding, now: datetime) -> None:
        whole.provider.understand(whole, webhook, found, now)
        raise ZeroDivisionError(f"of {webhook.body!r}")

    whole = channel_of(name)
    broken = replace(whole, provider=replace(whole.provider, understand=understand))
    async with receiving(broker, [broken]) as server:
        webhook = said(whole)
        reply = await given(server, whole, webhook)
        [kept] = await broker.read_all("webhooks.unmapped")
        [record] = await broker.read_all("messages.inbound")

    assert (reply.status, kept.value) == (200, webhook.body)
    assert kept.header("error") == b"webhook: a fault in Sluice"
    assert json.loads(record.value or b"")["content"]["text"].strip() == "Hello"
    logged = capsys.readouterr().out
    assert "ZeroDivisionError" in logged
    assert "Hello" not in logged


async def test_a_webhook_that_cannot_be_judged_is_403(broker: Broker) -> None:
    def verify(_channel: Channel, _webhook: Webhook, _now: datetime) -> bool:
        raise ZeroDivisionError

    async with receiving(broker, [replace(TELEGRAM, provider=replace(TELEGRAM.provider, verify=verify))]) as server:
        assert (await server.posts(TELEGRAM, update("Hi"), TOKEN)).status == 403


@pytest.mark.parametrize("sender", [b"\xff\xfe@b.example", b"\xed\xa0\x80@b.example"])
async def test_a_mail_from_any_address_is_kept(broker: Broker, sender: bytes) -> None:
    """A mail server would give it again for days, and then send it back."""
    production = Production(load_settings(kafka_bootstrap=broker.bootstrap).kafka(), "test")
    await broker.create("webhooks.unmapped")
    port = free_port()
    channel = channel_at(port)
    intake = taking.WebhookIntake([channel], production, lambda: NOW)

    async def take(channel: Channel, mail: Webhook) -> bool:
        return await intake.take(channel, mail) is not taking.WebhookResult.UNAVAILABLE

    async with lmtp_at(take, [channel]) as place, connected(place) as client:
        await client.reply()
        await client.says("LHLO mx")
        await client.says(b"MAIL FROM:<" + sender + b"> SMTPUTF8")
        await client.says(f"RCPT TO:<{HELP}>", "DATA")
        await client.reply()
        answer = await client.says(b"\xff: no mail", b".")
    [record] = await broker.read_all("webhooks.unmapped")
    await production.stop()

    assert answer[:3] == "250"
    assert (record.value, record.header("x-envelope-from")) == (b"\xff: no mail\r\n", sender)


async def test_a_bad_event_does_not_touch_the_good_ones(broker: Broker) -> None:
    case = next(
        case for case in FILES["whatsapp_cloud"]["webhooks"] if case["name"] == "bad messages beside a good one"
    )
    body = webhook_of(case).body
    async with receiving(broker, [WHATSAPP]) as server:
        reply = await server.posts(WHATSAPP, body, by_meta(body))
        [record] = await broker.read_all("messages.inbound")
        [kept] = await broker.read_all("webhooks.unmapped")

    assert (reply.status, kept.value) == (200, body)
    assert json.loads(record.value or b"")["provider_message_id"] == case["records"][0]["value"]["provider_message_id"]


async def test_events_of_one_person_keep_their_order(broker: Broker) -> None:
    events = [
        {"type": "message", "mId": f"in-{n}", "timestamp": 1796119200000, "contactId": f"ada-{n % 2}",
         "message": {"type": "text", "text": str(n)}}
        for n in range(400)
    ]  # fmt: skip
    body = json.dumps({"events": events}).encode()
    async with receiving(broker, [CUSTOM]) as server:
        reply = await server.posts(CUSTOM, body, by_custom(body))
        records = await broker.read_all("messages.inbound")

    assert reply.status == 200
    for person in (0, 1):
        mine = [record for record in records if (record.key or b"").endswith(b"-%d" % person)]
        texts = [json.loads(record.value or b"")["content"]["text"] for record in sorted(mine, key=lambda r: r.offset)]
        assert texts == [str(n) for n in range(person, 400, 2)]
        assert len({record.partition for record in mine}) == 1


async def test_a_long_text_is_cut(broker: Broker) -> None:
    async with receiving(broker, [TELEGRAM]) as server:
        reply = await server.posts(TELEGRAM, update("ä" * 1_500_000), TOKEN)
        [message] = await values(broker, "messages.inbound", 1)

    assert reply.status == 200
    assert message["extra"]["truncated"] is True
    assert 100_000 < len(message["content"]["text"]) < 1_500_000


OTHER_NUMBER: Final = "110000000000001"


@pytest.mark.parametrize(
    ("others", "of"),
    [
        ([("acme", "wa-2", {})], "acme/wa-2"),
        ([("acme", "wa-2", {"app_secret": "another"})], None),
        ([("evil", "wa-2", {"app_secret": "another"}), ("acme", "wa-2", {})], "acme/wa-2"),
        ([("acme", "wa-2", {}), ("evil", "wa-2", {"app_secret": "another"})], "acme/wa-2"),
        ([], None),
    ],
    ids=["one secret", "another secret", "a stranger names it, too", "a stranger names it later", "no entry"],
)
async def test_events_of_another_account_go_to_who_has_its_secret(
    broker: Broker, others: list[tuple[str, str, dict[str, str]]], of: str | None
) -> None:
    case = next(c for c in FILES["whatsapp_cloud"]["webhooks"] if c["name"] == "another account beside the own one")
    body = webhook_of(case).body
    channels = [
        channel_of("whatsapp_cloud", workspace_id=workspace, channel_id=channel, phone_number_id=OTHER_NUMBER, **told)
        for workspace, channel, told in others
    ]
    labels = {"provider": "whatsapp_cloud", "type": "another account"}
    before = REGISTRY.get_sample_value("sluice_webhook_events_ignored_total", labels) or 0
    async with receiving(broker, [WHATSAPP, *channels]) as server:
        reply = await server.posts(WHATSAPP, body, by_meta(body))
        found = [json.loads(record.value or b"") for record in await broker.read_all("messages.inbound")]

    places = [f"{message['workspace_id']}/{message['channel_id']}" for message in found]
    assert reply.status == 200
    assert sorted(places) == sorted([WHATSAPP.place] + [place for place in [of] if place])
    counted = (REGISTRY.get_sample_value("sluice_webhook_events_ignored_total", labels) or 0) - before
    assert counted == (0 if of else 1)


async def test_without_kafka_the_provider_is_asked_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "ACKNOWLEDGED_WITHIN_S", 0.5)
    with embedded_broker() as bootstrap:
        receiver = receiving(Broker("embedded", bootstrap), [TELEGRAM])
        server = await receiver.__aenter__()
    try:
        began = time.monotonic()
        reply = await server.posts(TELEGRAM, update("Hi"), TOKEN)
        assert (reply.status, reply.headers["retry-after"]) == (503, "5")
        assert time.monotonic() - began < 5
        assert (await server.posts(TELEGRAM, b'{"update_id":1}', TOKEN)).status == 200  # it says nothing
        assert (await server.posts(TELEGRAM, update("Hi"), {})).status == 403
    finally:
        await receiver.__aexit__(None, None, None)


async def test_webhooks_are_counted_with_few_labels(broker: Broker) -> None:
    def counted(answer: str) -> float:
        labels = {"provider": "telegram", "answer": answer}
        return REGISTRY.get_sample_value("sluice_webhooks_total", labels) or 0.0

    before = [counted(answer) for answer in ("acknowledged", "forbidden")]
    kinds = {(name, type_) for name, type_ in _ignored()}
    async with receiving(broker, [TELEGRAM]) as server:
        await server.posts(TELEGRAM, update("Hi"), TOKEN)
        await server.posts(TELEGRAM, update("Hi"), {})
        for number in range(300):
            body = json.dumps({"update_id": number, f"kind_{number}\n": {}}).encode()
            assert (await server.posts(TELEGRAM, body, TOKEN)).status == 200

    assert [counted(answer) for answer in ("acknowledged", "forbidden")] == [before[0] + 301, before[1] + 1]
    assert len({*_ignored()} - kinds) <= 201


def _ignored() -> list[tuple[str, str]]:
    return [
        (sample.labels["provider"], sample.labels["type"])
        for metric in REGISTRY.collect()
        if metric.name == "sluice_webhook_events_ignored"
        for sample in metric.samples
    ]
