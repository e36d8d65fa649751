"""Golden vectors: payloads as each provider documents them, with the exact records that they give."""

import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import msgspec
import pytest

from connectors.provider import Answer, Call, Mail, Unsendable, Webhook
from connectors.providers import PROVIDERS
from connectors.understanding import Understanding
from schemas.outputs import SendDispatch
from tests.connectors.vectors import FILES, cases, channel_of

NOW: Final = datetime(2026, 12, 1, 10, tzinfo=UTC)
SEND_ID: Final = UUID("7b0c5e9a-3a53-4a86-9d0b-0d8f3f9f4a11")


def named(kind: str) -> pytest.MarkDecorator:
    found = cases(kind)
    return pytest.mark.parametrize(("provider", "case"), found, ids=[f"{name}: {case['name']}" for name, case in found])


def webhook_of(case: Mapping[str, Any]) -> Webhook:
    return Webhook(case.get("method", "POST"), case.get("query", ""), case.get("headers", {}), body_of(case))


def body_of(case: Mapping[str, Any]) -> bytes:
    if "body_text" in case:
        return str(case["body_text"]).encode("utf-8", "surrogatepass")
    if "form" in case:
        return urlencode(case["form"], doseq=True).encode()
    body = case.get("body", "")
    return body.encode() if isinstance(body, str) else json.dumps(body, ensure_ascii=False).encode()


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def dispatch(provider: str, told: Mapping[str, Any]) -> SendDispatch:
    channel = channel_of(provider)
    whole = {
        "workspace_id": channel.workspace_id,
        "send_id": str(SEND_ID),
        "attempt": 1,
        "channel_id": channel.channel_id,
        "channel": channel.kind,
        "contact_id": "00000000-0000-4000-8000-000000000001",
        "source": "inbox",
        "group_id": None,
        "confirmation": None,
    }
    return msgspec.convert({**whole, **told}, SendDispatch)


@named("signatures")
def test_a_signature_is_judged(provider: str, case: Mapping[str, Any]) -> None:
    now = datetime.fromisoformat(case["now"]) if "now" in case else NOW
    channel = channel_of(provider, **case.get("channel", {}))

    assert channel.provider.verify(channel, webhook_of(case), now) is case["valid"]


@named("webhooks")
def test_a_webhook_gives_its_records(provider: str, case: Mapping[str, Any]) -> None:
    channel, found = channel_of(provider, **case.get("channel", {})), Understanding()
    channel.provider.understand(channel, webhook_of(case), found, NOW)

    common = {name: value for name, value in FILES[provider]["common"].items() if name != "received_at"}
    got = [
        {"topic": record.topic, "key": record.key.decode(), "value": without_nulls(json.loads(record.value))}
        for record in found.records
    ]
    wanted = []
    for record in case.get("records", []):
        shared = (
            FILES[provider]["common"]
            if record["topic"] == "messages.inbound"
            else {name: common[name] for name in ("workspace_id", "channel_id")}
        )
        wanted.append(record | {"value": shared | record["value"]})
    assert got == wanted
    assert found.ignored == Counter(case.get("ignored", {}))
    assert found.errors == case.get("errors", [])
    assert found.accounts == set(case.get("accounts", []))


@named("calls")
def test_a_send_becomes_its_call(provider: str, case: Mapping[str, Any]) -> None:
    channel = channel_of(provider, **case.get("channel", {}))
    made = channel.provider.request(channel, dispatch(provider, case["send"]))

    if "unsendable" in case:
        assert made == Unsendable(**case["unsendable"])
    elif "mail" in case:
        assert isinstance(made, Mail)
        assert made == Mail(case["mail"]["sender"], case["mail"]["recipient"], body_of(case["mail"]))
    else:
        assert isinstance(made, Call)
        made = channel.provider.sign(channel, made, NOW) if channel.provider.sign else made
        wanted = case["call"]
        body = json.loads(made.body) if isinstance(wanted.get("body"), dict) else made.body.decode()
        told = {"method": made.method, "url": made.url, "headers": dict(made.headers), "body": body}
        assert told == {"body": "", **wanted}


@named("answers")
def test_an_answer_means_its_outcome(provider: str, case: Mapping[str, Any]) -> None:
    channel = channel_of(provider, **case.get("channel", {}))
    answer = Answer(case["status"], case.get("headers", {}), body_of(case))
    outcome = channel.provider.outcome(channel, answer)._asdict()

    assert {name: value for name, value in outcome.items() if value not in (None, False)} == case["outcome"]


def test_every_provider_has_vectors_of_every_kind() -> None:
    assert FILES.keys() == PROVIDERS.keys()
    for provider, file in FILES.items():
        assert all(file[kind] for kind in ("signatures", "webhooks", "calls", "answers")), provider


def test_there_are_enough_payloads() -> None:
    assert len(cases("webhooks")) >= 20 * len(FILES)
