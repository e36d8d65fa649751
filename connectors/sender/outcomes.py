"""What follows from the outcome of a call: another call, or a receipt. Pure: times are arguments, in seconds."""

from datetime import datetime
from typing import Final, NamedTuple

from connectors.events import failure
from connectors.provider import Channel, Outcome, unclear
from schemas import limits
from schemas.building import sendable
from schemas.outputs import SendDispatch
from schemas.receipts import DeliveryReceipt

WAITS_S: Final = 5.0
"""How long an attempt waits under its claim, all pauses together, for a provider that asks to slow down."""
REPEATS_S: Final = 60.0
"""How long a call is repeated whose outcome is unclear, where the provider takes a repeated call once."""
_SHORTEST_WAIT_S: Final = 1.0
_DEFAULT_RETRY_S: Final = 30.0
_LONGEST_PAUSE_S: Final = 10.0


class Tries(NamedTuple):
    """What an attempt did so far: its calls, its pauses for the provider, and the time since its first call began.
    `unclear`: after an earlier call nobody can tell whether the provider took the message.
    """

    calls: int = 1
    waited_s: float = 0.0
    since_s: float = 0.0
    unclear: bool = False


class Again(NamedTuple):
    """Calls again after a pause. `waits` if the provider asked for it."""

    pause_s: float
    waits: bool


def after(outcome: Outcome, tries: Tries, *, repeats: bool) -> Again | Outcome:
    """Another call, or the outcome to report. `repeats`: the provider takes a repeated call once."""
    in_doubt = outcome.status == "ambiguous" or (
        tries.unclear and (outcome.status == "throttled" or (outcome.status == "failed" and not outcome.permanent))
    )
    if in_doubt:
        pause_s = max(min(2.0 ** (tries.calls - 1), _LONGEST_PAUSE_S), outcome.retry_after_s or 0.0)
        if repeats and tries.since_s + pause_s <= REPEATS_S:
            return Again(pause_s, waits=False)
        return outcome if outcome.status == "ambiguous" else unclear(outcome.code, outcome.message)
    if outcome.status == "throttled":
        pause_s = max(outcome.retry_after_s or 0.0, _SHORTEST_WAIT_S)
        if tries.waited_s + pause_s <= WAITS_S:
            return Again(pause_s, waits=True)
        return outcome._replace(status="failed", retry_after_s=outcome.retry_after_s or _DEFAULT_RETRY_S)
    return outcome


def receipt_of(channel: Channel, send: SendDispatch, outcome: Outcome, at: datetime) -> DeliveryReceipt:
    """The receipt of an attempt. `outcome` is one that `after` gave."""
    error = None
    if outcome.status != "sent":
        error = failure(outcome.code, outcome.message, permanent=outcome.permanent, retry_after_s=outcome.retry_after_s)
    return DeliveryReceipt(
        workspace_id=channel.workspace_id,
        channel_id=channel.channel_id,
        send_id=send.send_id,
        attempt=send.attempt,
        provider_message_id=_id_of(outcome),
        status="failed" if outcome.status == "throttled" else outcome.status,
        at=at,
        error=error,
        contact_stopped=outcome.contact_stopped or None,
    )


def _id_of(outcome: Outcome) -> str | None:
    """An id that no record can carry is left out: the message was taken all the same."""
    given = sendable(outcome.provider_message_id or "")
    return given if 0 < len(given) <= limits.PROVIDER_MESSAGE_ID else None
