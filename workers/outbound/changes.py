"""What one transaction changes about sends: gathered in memory, saved set by set, told in order.

The one place where a verdict becomes a status. Every status fact of a send raises its revision by one.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from msgspec.structs import replace

from schemas.ids import message_id, provider_id_of_send
from workers.outbound.telling import (
    OUTCOMES,
    Cause,
    Origin,
    Resolution,
    dispatch_fact,
    resolution_facts,
    status_fact,
)
from workers.rules.sends import Dispatch, Hold, Refuse, Verdict
from workers.runtime.batch import Connection, Output
from workers.store import attempts, sends
from workers.store.attempts import Attempt
from workers.store.sends import RunKey, Send, SendKey


@dataclass(slots=True)
class Changes:
    """Of several changes to one send the last is saved and all are told."""

    now: datetime
    sends: dict[SendKey, Send] = field(default_factory=dict)
    attempts: dict[tuple[SendKey, int], Attempt] = field(default_factory=dict)
    dispatched: dict[SendKey, Origin] = field(default_factory=dict)
    told: list[tuple[SendKey, Output]] = field(default_factory=list)
    resolved: list[Resolution] = field(default_factory=list)

    def decide(self, send: Send, verdict: Verdict, cause: Cause, hold_for: timedelta) -> Send:
        """A verdict on a send takes effect; a hold lasts `hold_for`."""
        match verdict:
            case Refuse(reason):
                return self.end(send, "refused", cause, reason)
            case Hold(reasons, keys):
                return self.hold(send, reasons, keys, cause, hold_for)
            case Dispatch():
                return self.dispatch(send, cause)

    def hold(
        self, send: Send, reasons: tuple[str, ...], keys: tuple[str, ...], cause: Cause, hold_for: timedelta
    ) -> Send:
        held = replace(
            send,
            status="held",
            reason=None,
            reasons=reasons,
            reason_keys=keys,
            held_at=self.now,
            expires_at=self.now + hold_for,
            retry_at=None,
            recheck_at=None,
        )
        return self.tell(send, held, cause)

    def end(self, send: Send, status: str, cause: Cause, reason: str | None = None) -> Send:
        """A send that will never go: `refused`, `rejected`, `expired`, `cancelled`."""
        return self.tell(send, replace(send, status=status, reason=reason, retry_at=None, recheck_at=None), cause)

    def release(self, send: Send, cause: Cause, confirmed_at: datetime) -> Send:
        """A person confirmed what the hold shows: it is covered from now on, and the next attempt goes out."""
        released = replace(_confirmed(send, cause, confirmed_at), status="released")
        return self.dispatch(self.tell(send, released, cause), cause)

    def hold_again(self, send: Send, verdict: Hold, cause: Cause, confirmed_at: datetime, hold_for: timedelta) -> Send:
        """A person confirmed what the hold shows, but meanwhile there is more."""
        return self.hold(_confirmed(send, cause, confirmed_at), verdict.reasons, verdict.keys, cause, hold_for)

    def dispatch(self, send: Send, cause: Cause) -> Send:
        number = send.attempt + 1
        attempt = Attempt(
            workspace_id=send.workspace_id,
            send_id=send.send_id,
            attempt=number,
            channel_id=send.channel_id,
            status="dispatched",
            dispatched_at=self.now,
        )
        self.attempts[send.key, number] = attempt
        self.dispatched[send.key] = cause.origin
        sent = replace(
            send,
            status="dispatched",
            reason=None,
            attempt=number,
            best_attempt=number,
            retry_at=None,
            recheck_at=None,
            message_id=send.message_id or _unnamed(send),
        )
        sent = self.tell(send, sent, cause)
        self.told.append((send.key, dispatch_fact(sent, cause, self.now)))
        return sent

    def dispatch_again(self, send: Send, cause: Cause) -> Send:
        """The latest attempt once more: its sender was turned away for a reason that is gone."""
        again = replace(send, recheck_at=None)
        self.sends[send.key] = again
        self.told.append((send.key, dispatch_fact(again, cause, self.now)))
        return again

    def tell(self, before: Send, after: Send, cause: Cause, at: datetime | None = None) -> Send:
        """A new status: saved, told, and the waiting step answered. `at` is when it came about, if not now."""
        told = replace(after, revision=before.revision + 1, updated_at=self.now)
        self.sends[told.key] = told
        self.told.append((told.key, status_fact(told, cause, at or self.now, self.now)))
        waits = before.status == "held" and before.run_id is not None and before.step_id is not None
        if waits and told.status in OUTCOMES:
            self.resolved.append(Resolution(told, OUTCOMES[told.status], cause, self.now))
        return told


async def save(tx: Connection, changes: Changes) -> list[Output]:
    """Save changes of sends that are locked; returns what to publish."""
    await sends.save(tx, [send for _, send in sorted(changes.sends.items())])
    await attempts.save(tx, list(changes.attempts.values()))
    return [output for _, output in changes.told] + await _resolve(tx, changes)


async def add(tx: Connection, changes: Changes) -> list[Output]:
    """Store new sends; of those that another transaction stored first nothing is told."""
    won = await sends.add(tx, list(changes.sends.values()))
    changes.dispatched = {key: origin for key, origin in changes.dispatched.items() if key in won}
    await attempts.save(tx, [a for (key, _), a in changes.attempts.items() if key in won])
    return [output for key, output in changes.told if key in won]


async def _resolve(tx: Connection, changes: Changes) -> list[Output]:
    if not changes.resolved:
        return []
    facts = Counter(r.run_key for r in changes.resolved)
    last = await sends.raise_run_revisions(tx, facts)
    return resolution_facts(_numbered(changes.resolved, facts, last), changes.now)


def _numbered(
    resolved: list[Resolution], facts: Counter[RunKey], last: Mapping[RunKey, int]
) -> list[tuple[Resolution, int]]:
    # A run nobody told us of has no row and so no revisions of its own: its steps are counted from one.
    following = {run: last.get(run, count) - count for run, count in facts.items()}
    numbered = []
    for resolution in resolved:
        following[resolution.run_key] += 1
        numbered.append((resolution, following[resolution.run_key]))
    return numbered


def _confirmed(send: Send, cause: Cause, confirmed_at: datetime) -> Send:
    covered = {*send.confirmed_keys, *send.reason_keys}
    return replace(send, confirmed_keys=tuple(sorted(covered)), confirmed_by=cause.actor, confirmed_at=confirmed_at)


def _unnamed(send: Send) -> UUID:
    """The id of a message that the provider has not named yet."""
    return message_id(send.workspace_id, send.channel_id, "out", provider_id_of_send(send.send_id))
