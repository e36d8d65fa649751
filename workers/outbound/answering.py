"""Answers to holds: a person's yes or no, for one send or a whole group. The first answer wins (contract 4.4)."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from workers.errors import RetryBatch
from workers.outbound import cases, changes
from workers.outbound.changes import Changes
from workers.outbound.parking import wake
from workers.outbound.telling import Cause, origin_of
from workers.rules.holds import Declined, Expired, Open, Standing, Unchanged, confirming, rejecting
from workers.rules.protection import with_confirmed
from workers.rules.sends import Case, Dispatch, Hold, Refuse, judge
from workers.rules.workspace import Policies
from workers.runtime.batch import Connection, Output, Record
from workers.store import sends, workspaces
from workers.store.sends import Send, SendKey


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """Exactly one of `send_id` and `group_id`. `issued_at` is trusted already; `origin` is the command's record."""

    command_id: UUID
    workspace_id: str
    actor_id: str
    actor_role: str
    issued_at: datetime
    origin: Record[Any]
    send_id: UUID | None = None
    group_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm(_Answer):
    """`confirm_send`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject(_Answer):
    """`reject_send`."""


Answer = Confirm | Reject


@dataclass(frozen=True, slots=True)
class Answered:
    """A command's result. `changed` counts sends that became `released`, `refused`, `rejected`, or stayed `held`."""

    command_id: UUID
    workspace_id: str
    reason: str | None = None
    changed: Mapping[str, int] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        return "done" if self.reason is None else "refused"


async def answer(tx: Connection, answers: Sequence[Answer], now: datetime) -> tuple[list[Answered], list[Output]]:
    """Apply answers in order; one result per answer, in the same order. Who may give the command was asked before.

    Raises:
        RetryBatch: a send moved to another contact while it was waited for.
    """
    groups = await sends.of_groups(tx, {(a.workspace_id, a.group_id) for a in answers if a.group_id is not None})
    wanted = {key for a in answers for key in _keys(a, groups)}
    if not wanted:
        return [Answered(a.command_id, a.workspace_id, "not_found") for a in answers], []
    seen = await sends.read(tx, wanted)
    tenants = await workspaces.share(tx, {(s.workspace_id, s.channel_id, s.channel) for s in seen.values()})
    loaded = await cases.load(tx, {k: cases.subject_of(s) for k, s in seen.items() if s.status == "held"})
    locked = await sends.lock(tx, seen.keys())
    if any(locked[k].status == "held" and _moved(s, locked[k], loaded.get(k)) for k, s in seen.items()):
        raise RetryBatch("a send changed while it was being locked")
    desk = _Desk(Changes(now), locked, loaded, {w: t.policies for w, t in tenants.items()})
    results = [desk.take(a, [k for k in _keys(a, groups) if k in locked]) for a in answers]
    outputs = await changes.save(tx, desk.changes)
    return results, outputs + await wake(tx, desk.changes)


def _keys(answer: Answer, groups: Mapping[tuple[str, str], list[SendKey]]) -> Iterable[SendKey]:
    if answer.send_id is not None:
        return [(answer.workspace_id, answer.send_id)]
    return groups.get((answer.workspace_id, answer.group_id or ""), [])


def _moved(before: Send, after: Send, case: Case | None) -> bool:
    return case is None or before.contact_id != after.contact_id


@dataclass(slots=True)
class _Desk:
    """Answers one after another; `changes.sends` holds what earlier ones of this transaction did."""

    changes: Changes
    locked: Mapping[SendKey, Send]
    cases: Mapping[SendKey, Case]
    policies: Mapping[str, Policies]

    def take(self, answer: Answer, keys: list[SendKey]) -> Answered:
        if not keys:
            return Answered(answer.command_id, answer.workspace_id, "not_found")
        counts: Counter[str] = Counter()
        declined: list[str] = []
        for key in keys:
            outcome = self._answer(answer, key)
            if isinstance(outcome, Declined):
                declined.append(outcome.reason)
            elif outcome is not None:
                counts[outcome] += 1
        if answer.send_id is not None and declined:
            return Answered(answer.command_id, answer.workspace_id, declined[0])
        # Of a group those that are final already are none of the answer's business; one's own wait for somebody else.
        counts["held"] += declined.count("needs_second_person")
        return Answered(answer.command_id, answer.workspace_id, None, dict(+counts))

    def _answer(self, answer: Answer, key: SendKey) -> str | Declined | None:
        earlier = self.changes.sends.get(key)
        if earlier is not None and earlier.status == "held":
            return "held"  # an answer just now found more reasons: nobody has been shown those yet
        send = earlier or self.locked[key]
        cause = Cause(str(answer.command_id), origin_of(answer.origin), answer.actor_id)
        match self._standing(answer, send):
            case Declined() as refusal:
                return refusal
            case Unchanged():
                return None
            case Expired():
                self.changes.end(send, "expired", Cause("expiry", cause.origin))
                return Declined("already_final")
            case Open():
                return self._settle(answer, send, cause)

    def _standing(self, answer: Answer, send: Send) -> Standing:
        match answer:
            case Reject():
                return rejecting(send.status, send.expires_at, self.changes.now)
            case Confirm():
                return confirming(
                    send.status,
                    send.expires_at,
                    self.changes.now,
                    requested_by=send.requested_by,
                    actor=answer.actor_id,
                    two_person=self.policies[send.workspace_id].two_person_confirm,
                )

    def _settle(self, answer: Answer, send: Send, cause: Cause) -> str:
        if isinstance(answer, Reject):
            return self.changes.end(send, "rejected", cause).status
        match judge(self.cases[send.key], with_confirmed(send.cover, send.reason_keys)):
            case Refuse(reason):
                return self.changes.end(send, "refused", cause, reason).status
            case Hold() as hold:
                hold_for = timedelta(hours=self.policies[send.workspace_id].hold_ttl_hours)
                return self.changes.hold_again(send, hold, cause, answer.issued_at, hold_for).status
            case Dispatch():
                self.changes.release(send, cause, answer.issued_at)
                return "released"
