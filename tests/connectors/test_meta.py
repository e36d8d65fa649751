"""What Meta's three products share: the challenge of a webhook's address, and ids that go into addresses of calls."""

from typing import Final

import pytest

from connectors.provider import Channel, Webhook
from tests.connectors.vectors import channel_of
from workers.errors import SettingsError

LETTERS: Final = "ß&="

every_product = pytest.mark.parametrize("provider", ["whatsapp_cloud", "messenger", "instagram"])


def answer(channel: Channel, query: str) -> bytes | None:
    assert channel.provider.challenge is not None
    return channel.provider.challenge(channel, Webhook("GET", query, {}, b""))


@every_product
def test_the_challenge_comes_back_for_the_right_token(provider: str) -> None:
    query = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=v3rify-m3"

    assert answer(channel_of(provider), query) == b"1158201444"


@every_product
@pytest.mark.parametrize(
    "query",
    [
        "",
        "hub.mode=subscribe&hub.challenge=1158201444",
        "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=",
        "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=v3rify",
        "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=v3rify-m3%ED%A0%BD",
        "hub.mode=unsubscribe&hub.challenge=1158201444&hub.verify_token=v3rify-m3",
        "hub.challenge=1158201444&hub.verify_token=v3rify-m3",
        "hub.mode=subscribe&hub.verify_token=v3rify-m3",
    ],
)
def test_nothing_comes_back_otherwise(provider: str, query: str) -> None:
    assert answer(channel_of(provider), query) is None


def test_a_token_may_hold_any_letters() -> None:
    channel = channel_of("messenger", verify_token=LETTERS)

    assert answer(channel, "hub.mode=subscribe&hub.challenge=1&hub.verify_token=%C3%9F%26%3D") == b"1"


@pytest.mark.parametrize(
    ("provider", "key"),
    [("whatsapp_cloud", "phone_number_id"), ("messenger", "page_id"), ("instagram", "account_id")],
)
def test_an_account_has_a_number(provider: str, key: str) -> None:
    channel = channel_of(provider)

    assert channel.provider.account is not None
    assert channel.provider.account(channel) == getattr(channel.keys, key)
    with pytest.raises(SettingsError, match=key):
        channel_of(provider, **{key: "me/../1"})
