"""A send with its attempts, and what receipts and the clock make of them (contract 4.6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from msgspec.structs import replace

from workers.rules.attempts import ACCEPTED, NOT_CLAIMED, best, out_of_time, pause_before_next, spread, standing
from workers.rules.holds import RELEASED
from workers.rules.send_states import ENDED, IDLE, SendEvent
from workers.sends.accepted_messages import Acceptance
from workers.sends.events import SendCause
from workers.sends.transitions import SendTransitions
from workers.store import send_attempts
from workers.store.connection import Connection
from workers.store.contacts import IdentityKey
from workers.store.send_attempts import Attempt
from workers.store.sends import AddressOwner, Send, SendKey


@dataclass(slots=True)
class SendAccount:
    """A locked send with its attempts by their numbers. `identity_id`: of its message, if that is stored, else of its
    address, if somebody has it. `acceptance`: what receipts change of it besides its status.
    """

    send: Send
    attempts: dict[int, Attempt]
    identity_id: int | None = None
    acceptance: Acceptance | None = None

    @property
    def throttled(self) -> set[int]:
        """The attempts that do not count towards the five."""
        return {number for number, attempt in self.attempts.items() if attempt.throttled}


async def of_locked(
    tx: Connection, locked: Mapping[SendKey, Send], owners: Mapping[IdentityKey, AddressOwner] = MappingProxyType({})
) -> dict[SendKey, SendAccount]:
    """The accounts of locked sends. `owners`: of their addresses; receipts need them."""
    made = await send_attempts.of_sends(tx, locked.keys()) if locked else {}
    return {key: SendAccount(send, made.get(key, {}), _identity_id(send, owners)) for key, send in locked.items()}


def _identity_id(send: Send, owners: Mapping[IdentityKey, AddressOwner]) -> int | None:
    owner = owners.get(send.identity_key) if send.identity_key is not None else None
    return owner.identity_id if owner is not None else None


@dataclass(frozen=True, slots=True)
class AttemptChange:
    """One change of an attempt. `before` is the send as it is saved, `known` the attempt before the change."""

    before: Send
    known: Attempt
    event: SendEvent
    cause: SendCause
    at: datetime


def put(account: SendAccount, attempt: Attempt, made: SendTransitions) -> None:
    """Replaces an attempt of the send."""
    if attempt != account.attempts[attempt.attempt]:
        account.attempts[attempt.attempt] = attempt
        made.attempts[account.send.key, attempt.attempt] = attempt


def show(account: SendAccount, change: AttemptChange, made: SendTransitions) -> None:
    """Gives the send the status of its best attempt. A new status or attempt is published, and whatever a receipt puts
    in place of the clock's word.
    """
    before = change.before
    if before.status in IDLE and _left(account, change):
        _leave(account, change, made)
    shown = _shown(account, change, made.now)
    told = (shown.status, shown.best_attempt) != (before.status, before.best_attempt)
    if told or (change.known.by_clock and shown.reason != before.reason):
        account.send = made.tell(before, shown, change.event, change.cause, change.at)
    else:
        account.send = made.keep(before, shown, change.event, change.cause)


def _left(account: SendAccount, change: AttemptChange) -> bool:
    """Whether the receipt shows that the attempt left, or perhaps left, and none did before."""
    status = account.attempts[change.known.attempt].status
    return status != change.known.status and (status in ACCEPTED or status == "ambiguous")


def _leave(account: SendAccount, change: AttemptChange, made: SendTransitions) -> None:
    """An attempt of an undispatched send left all the same. The others can never be claimed. If the send had ended,
    none follows: it is no longer refused, rejected, expired or cancelled, but not to be sent again either.
    """
    for number, other in sorted(account.attempts.items()):
        if other.status == "dispatched" and number != change.known.attempt:
            put(account, _out_of_time(other, made.now, permanent=False), made)
    if account.send.status in ENDED:
        account.send = replace(account.send, ended_at=account.send.updated_at)


def _shown(account: SendAccount, change: AttemptChange, now: datetime) -> Send:
    """The send with the status of its best attempt. An undispatched send stays as it is unless this receipt shows that
    it left.
    """
    send, statuses = account.send, standing({n: a.status for n, a in account.attempts.items()})
    shown = best(statuses)
    status = statuses[shown]
    if send.status not in RELEASED and not _left(account, change):
        return send
    if status != "failed":
        return replace(
            send,
            status=status,
            best_attempt=shown,
            reason=None,
            retry_at=None,
            recheck_at=send.recheck_at if status == "dispatched" else None,
        )
    return replace(
        send,
        status=status,
        best_attempt=shown,
        reason=account.attempts[shown].error_code,
        retry_at=_retry_at(account, change, now),
        recheck_at=None,
    )


def _retry_at(account: SendAccount, change: AttemptChange, now: datetime) -> datetime | None:
    """When the next attempt of a failed send is due. A receipt that is repeated does not put it off, but the provider
    may.
    """
    send, latest = account.send, account.attempts[account.send.attempt]
    throttles = _throttles(account, change.known)
    if send.status == "failed" and not throttles and not _is_news(change.known, latest):
        return send.retry_at
    gone = send.erased and not send.forgotten  # a deleted contact's is judged again, and refused
    final = gone or send.ended_at is not None or latest.permanent or account.attempts[change.known.attempt].permanent
    if send.status == "failed" and send.retry_at is None and throttles:
        # The number of attempts may have ended the send, which no longer holds, or a permanent failure, which does.
        final = final or any(attempt.permanent for attempt in account.attempts.values())
    pause = pause_before_next(
        standing({n: a.status for n, a in account.attempts.items()}),
        throttled=account.throttled,
        permanent=final and change.event != "settle retry",
        share=spread(send.send_id, latest.attempt),
    )
    if pause is None:
        return None
    return max(now + pause, latest.not_before) if latest.throttled and latest.not_before is not None else now + pause


def _is_news(known: Attempt, latest: Attempt) -> bool:
    """Whether the change of the latest attempt says anew whether another one follows its failure."""
    if known.attempt != latest.attempt:
        return False
    return (latest.permanent and not known.permanent) or (known.by_clock and not latest.by_clock)


def _throttles(account: SendAccount, known: Attempt) -> bool:
    """Whether a receipt says anew how long the provider wants to be left alone. Of an attempt that another followed it
    matters only where the number of attempts ended the send: one less counts now.
    """
    attempt, send = account.attempts[known.attempt], account.send
    if not attempt.throttled:
        return False
    if known.attempt == send.attempt:
        return attempt.not_before != known.not_before
    return send.retry_at is None and not known.throttled


def run_out_of_time(account: SendAccount, cause: SendCause, made: SendTransitions) -> None:
    """Ends the attempts of a dispatched send that have neither a receipt nor time left."""
    for _, known in sorted(account.attempts.items()):
        if known.status == "dispatched":
            ended, before = _out_of_time(known, made.now, permanent=True), account.send
            put(account, ended, made)
            event: SendEvent = "no claim" if ended.status == "failed" else "no receipt"
            show(account, AttemptChange(before, known, event, cause, made.now), made)


def _out_of_time(known: Attempt, now: datetime, *, permanent: bool) -> Attempt:
    """The attempt after its time, and whether nothing follows it if nobody claimed it."""
    status = out_of_time(claimed=known.claimed_at is not None)
    failed = status == "failed"
    return replace(
        known,
        status=status,
        status_at=now,
        ran_out_at=now,
        permanent=failed and permanent,
        error_code=NOT_CLAIMED if failed else None,
    )
