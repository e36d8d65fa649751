"""Transitions of sends in one transaction: collected in memory, saved set by set, published in order.

The only place where a verdict becomes a status, and only as the table in `workers/rules/send_states.py` knows it. Every
status event of a send raises its revision by one.
"""

from dataclasses import dataclass, field
from datetime import datetime

from msgspec.structs import replace

from workers.process.tasks import both, slices
from workers.records import Output
from workers.rules.send_states import SendEvent, State, require, state_of
from workers.rules.sends import Dispatch, Hold, Refuse, SendVerdict
from workers.rules.step_outcomes import SendStanding, outcome_to_tell
from workers.rules.workflows import UNKNOWN_REVISION
from workers.rules.workspace import Policies
from workers.sends.events import (
    Draft,
    Origin,
    Resolution,
    SendCause,
    dispatch_event,
    outputs_of,
    resolution_events,
    status_event,
)
from workers.sends.provider_ids import unnamed
from workers.store import confirmations, send_attempts, sends
from workers.store.confirmations import ConfirmationRow
from workers.store.connection import Connection
from workers.store.send_attempts import Attempt
from workers.store.sends import Send, SendKey


@dataclass(slots=True)
class SendTransitions:
    """Of several changes to one send it saves the last one and publishes all."""

    now: datetime
    sends: dict[SendKey, Send] = field(default_factory=dict)
    attempts: dict[tuple[SendKey, int], Attempt] = field(default_factory=dict)
    dispatched: dict[SendKey, Origin] = field(default_factory=dict)
    events: list[tuple[SendKey, Draft]] = field(default_factory=list)
    resolved: list[Resolution] = field(default_factory=list)
    confirmations: list[ConfirmationRow] = field(default_factory=list)

    def decide(self, send: Send, verdict: SendVerdict, event: SendEvent, cause: SendCause, policies: Policies) -> Send:
        """Applies a verdict to a send."""
        match verdict:
            case Refuse(reason):
                return self.end(send, "refused", event, cause, reason)
            case Hold():
                return self.hold(send, verdict, event, cause, policies)
            case Dispatch():
                return self.dispatch(send, event, cause, policies)

    def hold(self, send: Send, verdict: Hold, event: SendEvent, cause: SendCause, policies: Policies) -> Send:
        held = replace(
            send,
            status="held",
            reason=None,
            reasons=verdict.reasons,
            reason_keys=verdict.keys,
            held_at=self.now,
            expires_at=self.now + policies.hold_for,
            retry_at=None,
            recheck_at=None,
        )
        return self.tell(send, held, event, cause)

    def end(self, send: Send, status: str, event: SendEvent, cause: SendCause, reason: str | None = None) -> Send:
        """Ends a send that will never leave: `refused`, `rejected`, `expired`, `cancelled`."""
        ended = replace(send, status=status, reason=reason, retry_at=None, recheck_at=None)
        return self.tell(send, ended, event, cause)

    def release(self, send: Send, cause: SendCause, confirmed_at: datetime, policies: Policies) -> Send:
        """Releases a confirmed hold: its reasons are covered from now on, and the next attempt is dispatched."""
        released = replace(_confirmed(send, cause, confirmed_at), status="released")
        return self.dispatch(self.tell(send, released, "confirm", cause), "dispatch", cause, policies)

    def hold_again(
        self, send: Send, verdict: Hold, cause: SendCause, confirmed_at: datetime, policies: Policies
    ) -> Send:
        """Holds a confirmed send again, because there are new reasons."""
        return self.hold(_confirmed(send, cause, confirmed_at), verdict, "confirm", cause, policies)

    def dispatch(self, send: Send, event: SendEvent, cause: SendCause, policies: Policies) -> Send:
        """Makes and publishes the next attempt."""
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
            first_dispatched_at=send.first_dispatched_at or self.now,
            attempt=number,
            best_attempt=number,
            ended_at=None,
            retry_at=None,
            recheck_at=None,
            claim_by=self.now + policies.claim_for,
            message_id=send.message_id or unnamed(send),
        )
        sent = self.tell(send, sent, event, cause)
        self.events.append((send.key, dispatch_event(sent, cause)))
        return sent

    def dispatch_again(self, send: Send, cause: SendCause, policies: Policies) -> Send:
        """Publishes the latest attempt once more, with all its time: the claim was denied for a reason that is gone."""
        again = replace(send, recheck_at=None, claim_by=self.now + policies.claim_for)
        self.sends[send.key] = again
        self.events.append((send.key, dispatch_event(again, cause)))
        return again

    def tell(self, before: Send, after: Send, event: SendEvent, cause: SendCause, at: datetime | None = None) -> Send:
        """Sets a new status: saves it, publishes it, and tells the step of the send. `at` is the time of the change, if
        not now.

        Raises:
            ImpossibleTransitionError: the table of states does not know the change.
        """
        require(_state(before), event, _state(after))
        changed = replace(after, revision=before.revision + 1, updated_at=self.now)
        self.sends[changed.key] = changed
        self.events.append((changed.key, status_event(changed, cause, at or self.now, self.now)))
        self._resolve(before, changed, cause)
        return changed

    def keep(self, before: Send, after: Send, event: SendEvent, cause: SendCause) -> Send:
        """Saves a send whose status stays the same. The step of one that fails for good now is told.

        Raises:
            ImpossibleTransitionError: see `tell`.
        """
        if after != before:
            require(_state(before), event, _state(after))
            self.sends[after.key] = after
            self._resolve(before, after, cause)
        return after

    def _resolve(self, before: Send, after: Send, cause: SendCause) -> None:
        if before.run_id is None or before.step_id is None:
            return
        was_held = before.status == "held" or before.held_at is not None
        outcome = outcome_to_tell(_standing(before), _standing(after), was_held=was_held)
        if outcome is not None:
            self.resolved.append(Resolution(after, outcome, cause, self.now))


async def save(tx: Connection, changes: SendTransitions) -> list[Output]:
    """Saves changes of locked sends. Returns what to publish."""
    _, outputs = await both(_save_rows(tx, changes), _outputs(changes))
    return outputs + await _resolve(tx, changes)


async def _save_rows(tx: Connection, changes: SendTransitions) -> None:
    await sends.save(tx, [send for _, send in sorted(changes.sends.items())])
    await send_attempts.save(tx, list(changes.attempts.values()))
    await confirmations.add(tx, changes.confirmations)


async def add(tx: Connection, changes: SendTransitions) -> list[Output]:
    """Stores new sends. Publishes nothing of those that another transaction stored first."""
    won, outputs = await both(_add_rows(tx, changes), _outputs(changes))
    return [output for (key, _), output in zip(changes.events, outputs, strict=True) if key in won]


async def _add_rows(tx: Connection, changes: SendTransitions) -> set[SendKey]:
    won = await sends.add(tx, list(changes.sends.values()))
    changes.dispatched = {key: origin for key, origin in changes.dispatched.items() if key in won}
    await send_attempts.save(tx, [a for (key, _), a in changes.attempts.items() if key in won])
    await confirmations.add(tx, [c for c in changes.confirmations if c.send_key in won])
    return won


async def _outputs(changes: SendTransitions) -> list[Output]:
    """What the changes publish, made in slices, while PostgreSQL stores their rows."""
    outputs: list[Output] = []
    async for some in slices(changes.events):
        outputs += outputs_of([event for _, event in some])
    return outputs


async def _resolve(tx: Connection, changes: SendTransitions) -> list[Output]:
    if not changes.resolved:
        return []
    # Locked: otherwise a run's end with a higher revision could come first. A step's result does not change its run.
    revisions = await sends.lock_run_revisions(tx, {r.run_key for r in changes.resolved})
    return outputs_of(
        resolution_events(((r, revisions.get(r.run_key, UNKNOWN_REVISION)) for r in changes.resolved), changes.now)
    )


def _standing(send: Send) -> SendStanding:
    return SendStanding(send.status, another_follows=_state(send) == "retrying")


def _state(send: Send) -> State:
    return state_of(send.status, another_follows=send.retry_at is not None)


def _confirmed(send: Send, cause: SendCause, confirmed_at: datetime) -> Send:
    covered = {*send.confirmed_keys, *send.reason_keys}
    return replace(send, confirmed_keys=tuple(sorted(covered)), confirmed_by=cause.actor, confirmed_at=confirmed_at)
