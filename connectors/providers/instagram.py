"""Instagram: https://developers.facebook.com/documentation/business-messaging/instagram-messaging

Either by a Page that the account is linked to, or with Instagram Login: then the channel's `base_url` is
https://graph.instagram.com/v26.0, and the token is the account's own.
"""

from datetime import datetime
from typing import ClassVar, Final

from connectors.provider import Call, Channel, Provider, Unsendable, Webhook
from connectors.providers import meta_messaging
from connectors.providers.meta import GRAPH, AccountId, MetaKeys, challenge, verify
from connectors.understanding import Understanding
from schemas.outputs import SendDispatch


class InstagramKeys(MetaKeys, frozen=True, kw_only=True):
    """`account_id` is the id of the professional account, as webhooks name it in `entry[].id`."""

    default_kind: ClassVar[str] = "instagram"
    account_id: AccountId


def understand(channel: Channel, webhook: Webhook, found: Understanding, now: datetime) -> None:
    """Adds the messages, postbacks, reactions, echoes and read marks of the channel's own account."""
    meta_messaging.understand(
        meta_messaging.Account(channel, channel.keys.account_id), "instagram", webhook, found, now
    )


def request(channel: Channel, send: SendDispatch) -> Call | Unsendable:
    """A call of the Send API."""
    return meta_messaging.request(channel, send, "Instagram")


PROVIDER: Final = Provider(
    name="instagram",
    keys=InstagramKeys,
    kinds=("instagram",),
    base_url=GRAPH,
    verify=verify,
    understand=understand,
    request=request,
    outcome=meta_messaging.outcome,
    challenge=challenge,
    account=lambda channel: str(channel.keys.account_id),
)
