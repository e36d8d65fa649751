"""The keys of an entry are what its provider needs; what could not work refuses to start."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.channels import parsed_entries
from connectors.provider import Call, Webhook
from tests.connectors.test_vectors import dispatch
from tests.connectors.vectors import FILES, channel_of
from workers.errors import SettingsError


def refusal(provider: str, **overrides: Any) -> str:
    with pytest.raises(SettingsError) as refused:
        parsed_entries([FILES[provider]["channel"] | overrides], read_secret=str)
    return str(refused.value).partition("): ")[2]


@pytest.mark.parametrize(
    "address", ["http://chat.acme.example/", "https://user@chat.acme.example/", "chat.acme.example", "ftp://x", "", 7]
)
@pytest.mark.parametrize(("provider", "key"), [("custom", "send_url"), ("twilio", "public_url"), ("line", "base_url")])
def test_an_address_that_is_not_safe_is_refused_and_not_repeated(provider: str, key: str, address: object) -> None:
    words = refusal(provider, **{key: address})

    assert words == f"`{key}`: must be https://host, or http:// of this machine, without user name"


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:8082/a", "http://localhost/", "https://chat.acme.example:8443/a"]
)
def test_an_address_of_this_machine_or_by_tls_is_kept_as_it_is_written(address: str) -> None:
    assert channel_of("custom", send_url=address).keys.send_url == address


def test_the_address_that_twilio_signs_has_no_query_of_its_own() -> None:
    assert refusal("twilio", public_url="https://acme.example/?a=1") == "`public_url` must be without ?query"


def test_a_key_is_named_as_in_the_file() -> None:
    assert channel_of("twilio", **{"from": "+15005550009"}).keys.from_ == "+15005550009"
    assert refusal("twilio", from_="+15005550009").startswith("unknown key `from_`; twilio has `account_sid`,")


@pytest.mark.parametrize(("provider", "kind"), [("twilio", "line"), ("custom", "pigeon")])
def test_a_kind_that_the_provider_does_not_have_is_refused(provider: str, kind: str) -> None:
    assert refusal(provider, channel=kind).startswith("`channel` must be one of ")


@pytest.mark.parametrize("kind", ["email", "sms", "webchat", "custom"])
def test_a_custom_channel_has_any_kind(kind: str) -> None:
    assert channel_of("custom", channel=kind).kind == kind


def test_a_repeated_call_is_signed_anew_and_keeps_its_key() -> None:
    channel = channel_of("custom")
    call = channel.provider.request(
        channel, dispatch("custom", {"address": "ada-1", "content": {"type": "text", "text": "Hello"}})
    )
    assert isinstance(call, Call)
    assert channel.provider.sign is not None
    first = datetime(2026, 12, 1, 10, tzinfo=UTC)
    later = first + timedelta(minutes=6)
    calls = {at: channel.provider.sign(channel, call, at) for at in (first, later)}

    for at, signed in calls.items():
        received = Webhook("POST", "", signed.headers, signed.body)
        assert [channel.provider.verify(channel, received, now) for now in (first, later)] == [at == first, at == later]
    assert calls[first].headers["idempotency-key"] == calls[later].headers["idempotency-key"]
