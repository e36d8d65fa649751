"""Messenger, for a Facebook Page: https://developers.facebook.com/documentation/business-messaging/messenger-platform"""

from datetime import datetime
from typing import ClassVar, Final

from connectors.provider import Call, Channel, Provider, Unsendable, Webhook
from connectors.providers import meta_messaging
from connectors.providers.meta import GRAPH, AccountId, MetaKeys, challenge, verify
from connectors.understanding import Understanding
from schemas.outputs import SendDispatch


class MessengerKeys(MetaKeys, frozen=True, kw_only=True):
    """`page_id` is the id of the Page; `access_token` is the Page's."""

    default_kind: ClassVar[str] = "messenger"
    page_id: AccountId


def understand(channel: Channel, webhook: Webhook, found: Understanding, now: datetime) -> None:
    """Adds the messages, postbacks, reactions, echoes and marks of delivery of the channel's own Page."""
    meta_messaging.understand(meta_messaging.Account(channel, channel.keys.page_id), "page", webhook, found, now)


def request(channel: Channel, send: SendDispatch) -> Call | Unsendable:
    """A call of the Send API."""
    return meta_messaging.request(channel, send, "Messenger")


PROVIDER: Final = Provider(
    name="messenger",
    keys=MessengerKeys,
    kinds=("messenger",),
    base_url=GRAPH,
    verify=verify,
    understand=understand,
    request=request,
    outcome=meta_messaging.outcome,
    challenge=challenge,
    account=lambda channel: str(channel.keys.page_id),
)
