"""Faults of a provider's functions: one of them concerns one webhook or one send, not the process."""

from collections.abc import Callable
from typing import TypeVar

import structlog

from connectors.provider import Channel

T = TypeVar("T")

log = structlog.get_logger()


class ProviderFault(Exception):  # noqa: N818 - whose it is, is what matters
    """A function of a provider's module raised what it should not."""


def asked(channel: Channel, function: Callable[[], T]) -> T:
    """What a function of a provider's module gives.

    Raises:
        ProviderFault: it failed. The log says where.
    """
    try:
        return function()
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
        raise ProviderFault(type(fault).__name__) from None
