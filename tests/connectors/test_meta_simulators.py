"""Meta's simulators refuse what Meta refuses, in its shapes, and play what the common tests do not ask for."""

import json
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from connectors.provider import Answer, Outcome
from connectors.simulator.played import ApiRequest, Said, Taken, played
from connectors.understanding import Understanding
from tests.connectors.vectors import channel_of

NOW: Final = datetime(2026, 12, 1, 10, tzinfo=UTC)
TEXT: Final = {"messaging_product": "whatsapp", "to": "+16505551234", "type": "text", "text": {"body": "Hello"}}
IMAGE: Final = {"link": "https://acme.example/a.jpg"}
TEMPLATE: Final = {"name": "order_update", "language": {"code": "en"}}
PERSON: Final = {"recipient": {"id": "1254477777772919"}}
PATHS: Final = {
    "whatsapp_cloud": "/106540352242922/messages",
    "messenger": "/me/messages",
    "instagram": "/me/messages",
}


def take(provider: str, body: object, **replaced: Any) -> Taken | Answer:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = ApiRequest("POST", PATHS[provider], "", {"authorization": "Bearer EAAJBzZBs1"}, encoded)
    channel = channel_of(provider)
    return played(channel.provider).take(channel, request._replace(**replaced), 1)


def outcome(provider: str, answer: Taken | Answer) -> Outcome:
    assert isinstance(answer, Answer)
    channel = channel_of(provider)
    return channel.provider.outcome(channel, answer)


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({}, "Hello"),
        ({"text": {"body": "a" * 4_096}}, "a" * 4_096),
        ({"type": "image", "image": IMAGE | {"caption": "This one?"}}, "This one?"),
        ({"type": "audio", "audio": {"id": "244"}}, ""),
        ({"type": "template", "template": TEMPLATE}, "order_update"),
    ],
)
def test_whatsapp_takes_what_it_can_carry(more: dict[str, Any], text: str) -> None:
    taken = take("whatsapp_cloud", TEXT | more)

    assert isinstance(taken, Taken)
    assert taken.text == text


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"messaging_product": "sms"}, "100"),
        ({"to": ""}, "100"),
        ({"to": "+"}, "100"),
        ({"text": "Hello"}, "100"),
        ({"text": {"body": ""}}, "100"),
        ({"text": {"body": "a" * 4_097}}, "100"),
        ({"type": "image", "image": IMAGE | {"caption": "a" * 1_025}}, "100"),
        ({"type": "image", "image": {"caption": "no file"}}, "131009"),
        ({"type": "audio", "audio": {"id": "244", "caption": "Listen"}}, "100"),
        ({"type": "template", "template": {"name": "order_update"}}, "132001"),
        ({"biz_opaque_callback_data": "a" * 513}, "100"),
    ],
)
def test_whatsapp_refuses_what_it_cannot_carry(more: dict[str, Any], code: str) -> None:
    refused = outcome("whatsapp_cloud", take("whatsapp_cloud", TEXT | more))

    assert (refused.status, refused.code, refused.permanent) == ("failed", code, True)


@pytest.mark.parametrize(("provider", "longest"), [("messenger", 2_000), ("instagram", 1_000)])
def test_the_send_api_takes_a_text_or_a_file(provider: str, longest: int) -> None:
    file = {"type": "image", "payload": {"url": "https://acme.example/a.jpg"}}
    longest_text = "ß" * (longest // 2)

    carried: list[dict[str, Any]] = [{"text": longest_text}, {"attachment": file}]
    too_much: list[dict[str, Any]] = [{}, {"text": longest_text + "s"}, {"text": "Look", "attachment": file}]

    assert all(isinstance(take(provider, PERSON | {"message": message}), Taken) for message in carried)
    assert all(outcome(provider, take(provider, PERSON | {"message": message})).permanent for message in too_much)


@pytest.mark.parametrize("provider", ["messenger", "instagram"])
@pytest.mark.parametrize(("person", "code"), [("", "100"), ("ada", "100/2018001")])
def test_the_send_api_knows_people_by_numbers(provider: str, person: str, code: str) -> None:
    refused = outcome(provider, take(provider, {"recipient": {"id": person}, "message": {"text": "Hello"}}))

    assert (refused.status, refused.code, refused.permanent) == ("failed", code, True)


@pytest.mark.parametrize("provider", sorted(PATHS))
@pytest.mark.parametrize(
    ("replaced", "code"),
    [({"path": "/1/messages"}, "100/33"), ({"method": "GET"}, "100/33"), ({"headers": {}}, "190")],
)
def test_a_call_must_be_the_channels(provider: str, replaced: dict[str, Any], code: str) -> None:
    assert outcome(provider, take(provider, TEXT, **replaced)).code == code


@pytest.mark.parametrize("provider", sorted(PATHS))
def test_a_body_must_be_json(provider: str) -> None:
    assert outcome(provider, take(provider, b"<html>")).permanent


def test_a_person_may_hide_the_number() -> None:
    channel, found = channel_of("whatsapp_cloud"), Understanding()
    said = Said("US.13491208655302741918", "Hello", "Ada", 1, NOW)
    channel.provider.understand(channel, played(channel.provider).say(channel, said), found, NOW)
    [record] = found.records

    assert json.loads(record.value)["sender"] == {
        "address": "US.13491208655302741918",
        "name": "Ada",
        "language": None,
        "avatar_url": None,
    }
