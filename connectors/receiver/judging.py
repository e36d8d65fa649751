"""Asks a provider's functions about a webhook. A fault of theirs concerns this webhook alone.

A provider that is answered 500 sends the webhook again and again, and switches all of them off in the end.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeVar

import structlog

from connectors.provider import Channel, Webhook
from connectors.understanding import Understanding

T = TypeVar("T")
_FAULT: Final = "webhook: a fault in Sluice"

log = structlog.get_logger()


def is_verified(channel: Channel, webhook: Webhook, now: datetime) -> bool:
    """Whether a webhook is the provider's. What cannot be judged is not."""
    return _unless_faulty(channel, lambda: channel.provider.verify(channel, webhook, now), otherwise=False)


def understood(channel: Channel, webhook: Webhook, now: datetime) -> Understanding:
    """What a verified webhook says; after a fault, what it had said until then, and an error."""
    found = Understanding()
    if not _unless_faulty(channel, lambda: _whole(channel, webhook, found, now), otherwise=False):
        found.fail(_FAULT)
    return found


def _whole(channel: Channel, webhook: Webhook, found: Understanding, now: datetime) -> bool:
    channel.provider.understand(channel, webhook, found, now)
    return True


def _unless_faulty(channel: Channel, ask: Callable[[], T], otherwise: T) -> T:
    try:
        return ask()
    except Exception as fault:  # noqa: BLE001 - whatever it is, it is ours
        trace = fault.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        log.error(
            "A provider's functions failed. This is a fault in Sluice: please report it.",
            action="provider_fault",
            channel=channel.place,
            error=type(fault).__name__,  # its text may quote a message
            where=f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "",
        )
        return otherwise
