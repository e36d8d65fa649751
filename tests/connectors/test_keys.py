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


ONE_ADDRESS = "`from` must be one e-mail address, with or without a name"
NO_TLS = "`smtp_tls` may be `none` only for a host of this machine, such as 127.0.0.1"


@pytest.mark.parametrize(
    ("provider", "keys", "words"),
    [
        ("mailgun", {"from": "help"}, ONE_ADDRESS),
        ("mailgun", {"from": "a@x.example, b@x.example"}, ONE_ADDRESS),
        ("mailgun", {"from": "用户@x.example"}, ONE_ADDRESS),
        ("mailgun", {"domain": "x.example/v3"}, "`domain` must be a domain, such as mg.acme.example"),
        ("mailgun", {"domain": ""}, "`domain` must be a domain, such as mg.acme.example"),
        ("smtp", {"from": "Help <help@x.example>\r\nBcc: <b@x.example>"}, ONE_ADDRESS),
        ("smtp", {"listen": "8024"}, "`listen` must be host:port"),
        ("smtp", {"listen": "127.0.0.1:0"}, "`listen` must be host:port"),
        ("smtp", {"listen": "127.0.0.1:65536"}, "`listen` must be host:port"),
        ("smtp", {"smtp_port": 0}, "`smtp_port`: Expected `int` >= 1"),
        ("smtp", {"smtp_tls": "none"}, NO_TLS),
        ("smtp", {"smtp_tls": "none", "smtp_host": "localhost.evil.example"}, NO_TLS),
        ("smtp", {"smtp_tls": "off"}, "`smtp_tls`: is none of the words that it may be"),
        ("smtp", {"username": None}, "`username` and `password` need each other"),
    ],
)
def test_keys_of_mail_that_could_not_work_are_refused(provider: str, keys: dict[str, Any], words: str) -> None:
    assert refusal(provider, **keys) == words


@pytest.mark.parametrize(
    ("given", "own"),
    [
        ("help@X.example", ("", "help@x.example")),
        ("<help@x.example>", ("", "help@x.example")),
        ("Acme Help <help@x.example>", ("Acme Help", "help@x.example")),
        ('"Acme, Inc. (Help)" <help@x.example>', ("Acme, Inc. (Help)", "help@x.example")),
        ("Grüße <help@bücher.example>", ("Grüße", "help@xn--bcher-kva.example")),
    ],
)
def test_the_address_of_a_channel_may_have_a_name(given: str, own: tuple[str, str]) -> None:
    assert [channel_of(provider, **{"from": given}).keys.own for provider in ("mailgun", "smtp")] == [own, own]


def test_mail_may_go_without_tls_on_this_machine_only() -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        assert channel_of("smtp", smtp_host=host, smtp_tls="none").keys.smtp_tls == "none"
    assert channel_of("smtp").keys.smtp_tls == "required"


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
