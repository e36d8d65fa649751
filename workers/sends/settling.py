"""settle_send: a person says what became of an ambiguous send (contract 4.6).

It is applied like a receipt that the provider never sent, so a later receipt meets it as it meets any other.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from schemas.receipts import DeliveryReceipt, ReceiptError
from schemas.settings_commands import SettleSend
from workers.commands.command_record import CommandRecord
from workers.records import Output
from workers.rules.attempts import AttemptStatus, settle
from workers.rules.contact import ContactKey
from workers.rules.results import Done, Refused, Result
from workers.sends.arrivals import ReceiptArrival
from workers.sends.events import SendCause, origin_of_record
from workers.sends.receipts import open_accounts, receive
from workers.store import sends
from workers.store.commands import CommandKey
from workers.store.connection import Connection
from workers.store.sends import Send, SendKey

SETTLED: Final = "settled"
"""The error code of an attempt that a person says has failed, and the reason of its send."""

_NOT_KEPT: Final = (
    "`as`: expected sent or failed; the content of this send is not kept any more (`message_retention_days`)"
)

Ask = CommandRecord[SettleSend]


async def people_of(tx: Connection, asked: Sequence[Ask]) -> set[ContactKey]:
    """The contacts of the sends, to lock before any send."""
    found = await sends.addressed(tx, {_send(a) for a in asked}) if asked else {}
    return {(send.workspace_id, send.contact_id) for send in found.values() if send.contact_id is not None}


async def carry_out(
    tx: Connection, asked: Sequence[Ask], now: datetime
) -> tuple[dict[CommandKey, Result], list[Output]]:
    """Settles sends, in order. Returns results and events. The permissions were checked before.

    Raises:
        RetryBatch: a send or its address moved to another contact while this transaction waited for it.
    """
    _, accounts = await open_accounts(tx, await sends.addressed(tx, {_send(a) for a in asked}))
    results: dict[CommandKey, Result] = {}
    arrivals: list[ReceiptArrival] = []
    settled: dict[SendKey, str] = {}
    for a in asked:
        account = accounts.get(_send(a))
        if account is None:
            results[a.key] = Refused("not_found", "`send_id`: this workspace has no send with this id")
            continue
        send, statuses = account.send, {number: attempt.status for number, attempt in account.attempts.items()}
        status = settled.get(send.key, send.status)
        result = settle(status, statuses, a.command.as_, throttled=account.throttled)
        if isinstance(result, Done) and a.command.as_ == "retry" and send.erased and not send.forgotten:
            result = Refused("too_late", _NOT_KEPT)
        results[a.key] = result
        if isinstance(result, Done) and result.changed:
            settled[send.key] = result.changed["status"]
            arrivals += _receipts(a, send, statuses)
    return results, (await receive(tx, arrivals, now)).outputs if arrivals else []


def _receipts(a: Ask, send: Send, attempts: Mapping[int, AttemptStatus]) -> Iterator[ReceiptArrival]:
    as_, command = a.command.as_, a.command
    cause = SendCause(str(command.command_id), origin_of_record(a.record), command.actor.id)
    error = None if as_ == "sent" else ReceiptError(code=SETTLED, permanent=as_ == "failed")
    for number, status in sorted(attempts.items()):
        if status == "ambiguous":
            said = DeliveryReceipt(
                workspace_id=send.workspace_id,
                channel_id=send.channel_id,
                send_id=send.send_id,
                attempt=number,
                status="sent" if as_ == "sent" else "failed",
                at=a.stamp.at,
                error=error,
            )
            yield ReceiptArrival(said, a.record.timestamp, cause, as_, a.record.recorded_at)


def _send(a: Ask) -> SendKey:
    return a.command.workspace_id, a.command.send_id
