"""Asks a provider's functions about a webhook. A fault of theirs concerns this webhook alone.

A provider that is answered 500 sends the webhook again and again, and switches all of them off in the end.
"""

from datetime import datetime
from typing import Final

from connectors.faults import ProviderFault, asked
from connectors.provider import Channel, Webhook
from connectors.understanding import Understanding

_FAULT: Final = "webhook: a fault in Sluice"


def is_verified(channel: Channel, webhook: Webhook, now: datetime) -> bool:
    """Whether a webhook is the provider's. What cannot be judged is not."""
    try:
        return asked(channel, lambda: channel.provider.verify(channel, webhook, now))
    except ProviderFault:
        return False


def understood(channel: Channel, webhook: Webhook, now: datetime) -> Understanding:
    """What a verified webhook says; after a fault, what it had said until then, and an error."""
    found = Understanding()
    try:
        asked(channel, lambda: channel.provider.understand(channel, webhook, found, now))
    except ProviderFault:
        found.fail(_FAULT)
    return found
