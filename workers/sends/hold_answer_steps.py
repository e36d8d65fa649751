"""Applies answers to holds one after another, in chunks, so that memory does not grow with a group.

The caller keeps the rows of the sends and of their contacts locked for the whole transaction. Answers to more holds
than one transaction can end take effect at once and run in steps: once such an answer is stored, no other answer counts
for its holds, and each hold is judged in its step.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Literal
from uuid import UUID

from workers.process.tasks import slices
from workers.records import Output
from workers.rules.holds import Declined, Expired, HoldState, Open, Unchanged, confirming, rejecting
from workers.rules.protection import with_confirmed
from workers.rules.sends import Case, Dispatch, Hold, Refuse, judge
from workers.rules.workspace import Policies
from workers.sends import context, transitions
from workers.sends.early_receipts import wake
from workers.sends.events import NO_INPUT, Origin, SendCause, printable
from workers.sends.transitions import SendTransitions
from workers.store import confirmations, contacts, holds, pending_work, sends, workspaces
from workers.store.confirmations import ConfirmationRow, Outcome
from workers.store.connection import Connection
from workers.store.holds import Counted, GroupKey, Terms
from workers.store.pending_work import Stepped, Work, WorkStep
from workers.store.sends import Send, SendKey

CHUNK: Final = 250
"""Sends in memory at a time."""
LARGE_CHUNK: Final = 1000
"""The same where the content of all sends together is limited: a fifth faster."""

Says = Literal["confirm", "reject", "cancel", "delete", "refuse"]

_SAYS: Final[Mapping[str, Says]] = {
    holds.CONFIRM: "confirm",
    holds.REJECT: "reject",
    holds.CANCEL: "cancel",
    holds.REFUSE: "refuse",
}


@dataclass(frozen=True, slots=True)
class Word:
    """An answer to holds. `at` is its time, by the clock of the actor; `role` is the actor's."""

    says: Says
    cause: SendCause
    at: datetime
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """An answer and its result on sends: counts of statuses, and why it did not count.

    `word` None: applies an answer that was given before. The events belong to `origin`.
    """

    origin: Origin
    word: Word | None = None
    counts: Counter[str] = field(default_factory=Counter)
    declined: list[Declined] = field(default_factory=list)


@dataclass(slots=True)
class AnswerChunks:
    """Applies answers one after another, `size` sends at a time. `outputs` are the events of saved sends."""

    tx: Connection
    now: datetime
    policies: Mapping[str, Policies] = field(default_factory=dict)
    size: int = CHUNK
    outputs: list[Output] = field(default_factory=list)
    _waiting: list[tuple[Tally, SendKey]] = field(default_factory=list)
    _found: dict[SendKey, tuple[str, ...]] = field(default_factory=dict)
    """Holds for which an answer of this transaction found more reasons, which no user has seen yet: the reasons that
    users have seen.
    """

    async def take(self, tally: Tally, key: SendKey) -> None:
        """Applies the answer of the tally to an existing send."""
        self._waiting.append((tally, key))
        if len(self._waiting) >= self.size:
            await self.save()

    async def save(self) -> None:
        """Saves everything taken so far.

        Raises:
            RetryBatch: an address moved to another contact while this transaction waited for its owner.
        """
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        seen = await sends.read(self.tx, {key for _, key in waiting})
        held = {key: send for key, send in seen.items() if send.status == "held"}
        answers = await holds.answers(self.tx, held)
        confirmed = {key for key, answer in answers.items() if answer.kind == holds.CONFIRM}
        confirmed |= {key for tally, key in waiting if tally.word is not None and tally.word.says == "confirm"}
        judged = {key: context.subject_of(held[key]) for key in confirmed & held.keys()}
        loaded = await context.load(self.tx, judged) if judged else {}
        made = SendTransitions(self.now)
        chunk = _Chunk(made, self.policies, seen, loaded, answers, self._found)
        async for some in slices(waiting):
            for tally, key in some:
                chunk.take(tally, key)
        self.outputs += await transitions.save(self.tx, made)
        self.outputs += await wake(self.tx, made)


@dataclass(frozen=True, slots=True)
class _Chunk:
    made: SendTransitions
    policies: Mapping[str, Policies]
    seen: Mapping[SendKey, Send]
    cases: Mapping[SendKey, Case]
    answers: dict[SendKey, Work]
    found: dict[SendKey, tuple[str, ...]]

    def take(self, tally: Tally, key: SendKey) -> None:
        earlier = self.answers.pop(key, None)
        if earlier is not None:
            self._settle(_word_of(earlier, tally.origin), self.seen[key])
        if tally.word is None:
            return
        outcome = self._answer(tally.word, key)
        if isinstance(outcome, Declined):
            tally.declined.append(outcome)
        elif outcome is not None:
            tally.counts[outcome] += 1

    def _answer(self, word: Word, key: SendKey) -> str | Declined | None:
        send = self.made.sends.get(key) or self.seen[key]
        if key in self.found:
            if word.says == "confirm":
                self._keep(word, send, self.found[key], "held")
            return "held"
        match self._standing(word, send):
            case Declined() as refusal:
                return refusal
            case Unchanged():
                return None
            case Expired():
                self.made.end(send, "expired", "expiry", SendCause("expiry", word.cause.origin))
                return Declined("already_final", "the hold expired before the answer was given")
            case Open():
                return self._settle(word, send)

    def _standing(self, word: Word, send: Send) -> HoldState:
        match word.says:
            case "confirm":
                return confirming(
                    send.status,
                    send.expires_at,
                    self.made.now,
                    requested_by=send.requested_by,
                    actor=word.cause.actor or "",
                    two_person=self.policies[send.workspace_id].two_person_confirm,
                )
            case "reject":
                return rejecting(send.status, send.expires_at, self.made.now)
            case "cancel" | "delete" | "refuse":
                return rejecting(send.status, None, self.made.now)

    def _settle(self, word: Word, send: Send) -> str:
        match word.says:
            case "reject":
                return self.made.end(send, "rejected", "reject", word.cause).status
            case "cancel":
                return self.made.end(send, "cancelled", "block", word.cause, "contact_blocked").status
            case "delete":
                return self.made.end(send, "cancelled", "deletion", word.cause, "contact_deleted").status
            case "refuse":
                return self.made.end(send, "refused", "halt", word.cause, "run_halted").status
            case "confirm":
                return self._confirm(word, send)

    def _confirm(self, word: Word, send: Send) -> str:
        match judge(self.cases[send.key], with_confirmed(send.cover, send.reason_keys)):
            case Refuse(reason):
                self.made.end(send, "refused", "confirm", word.cause, reason)
                return self._keep(word, send, send.reasons, "refused")
            case Hold() as hold:
                self.found[send.key] = send.reasons
                self.made.hold_again(send, hold, word.cause, word.at, self.policies[send.workspace_id])
                return self._keep(word, send, send.reasons, "held")
            case Dispatch():
                self.made.release(send, word.cause, word.at, self.policies[send.workspace_id])
                return self._keep(word, send, send.reasons, "released")

    def _keep(self, word: Word, send: Send, shown: tuple[str, ...], outcome: Outcome) -> Outcome:
        evidence = ConfirmationRow(
            workspace_id=send.workspace_id,
            send_id=send.send_id,
            given_by=word.cause.name,
            confirmed_by=word.cause.actor or "",
            role=word.role,
            confirmed_at=word.at,
            content_sha256=confirmations.digest(send),
            reasons=shown,
            outcome=outcome,
        )
        self.made.confirmations.append(evidence)
        return outcome


def _word_of(answer: Work, origin: Origin) -> Word:
    """An earlier answer that takes effect because of `origin`. Its events name the user who gave it, and are the same
    in a step and elsewhere.
    """
    terms = holds.terms_of(answer)
    traceparent = terms.traceparent.encode() if terms.traceparent is not None else None
    name = "run_halted" if answer.kind == holds.REFUSE else str(answer.command_id)
    cause = SendCause(name, origin._replace(traceparent=traceparent), terms.actor)
    return Word(_SAYS[answer.kind], cause, terms.issued_at, terms.role)


async def answer_group(
    tx: Connection, group: GroupKey, command_id: UUID, word: Word, now: datetime, *, two_person: bool
) -> Counter[str]:
    """Confirms or rejects the present holds of a locked group. Returns the result as judged now."""
    confirms = word.says == "confirm"
    not_of = word.cause.actor if confirms and two_person else None
    counts: Counter[str] = Counter()
    if confirms:
        counts.update(await holds.confirmation_outcomes(tx, group, now, not_of))
    else:
        counts["rejected"] = await holds.count_group(tx, group, now)
    if total := sum(counts.values()):
        kind = holds.CONFIRM if confirms else holds.REJECT
        await pending_work.add(tx, [holds.work(kind, group, command_id, _terms(word, now, not_of=not_of), total)])
    return counts


def ending(
    kind: str,
    subject: tuple[str, object],
    command_id: UUID,
    word: Word,
    now: datetime,
    counted: Counted,
    until: datetime | None = None,
) -> Work:
    """Pending work that ends the holds of a contact or a run that were requested before `until`."""
    return holds.work(kind, subject, command_id, _terms(word, now, until=until), counted.holds)


def _terms(word: Word, now: datetime, **others: Any) -> Terms:
    traceparent = printable(word.cause.origin.traceparent)
    return Terms(at=now, issued_at=word.at, actor=word.cause.actor, role=word.role, traceparent=traceparent, **others)


async def run_step(tx: Connection, work: Work, now: datetime) -> Stepped:
    """The next step of an answer: judges its next holds."""
    tenants = await workspaces.share(tx, {(work.workspace_id, "", "")})
    found = await holds.next_of(tx, work)
    if not found:
        return Stepped((), 0, more=False)
    await contacts.lock_shared(tx, {contact for hold in found for contact in hold.people})
    await sends.lock_rows(tx, [hold.key for hold in found])
    chunks = AnswerChunks(tx, now, {w: tenant.policies for w, tenant in tenants.items()})
    tally = Tally(NO_INPUT)
    for hold in found:
        await chunks.take(tally, hold.key)
    await chunks.save()
    return Stepped(chunks.outputs, len(found), more=True, cursor=str(found[-1].key[1]))


ANSWER_STEPS: Final[Mapping[str, WorkStep]] = MappingProxyType(
    dict.fromkeys((holds.CONFIRM, holds.REJECT, holds.CANCEL, holds.REFUSE), run_step)
)
"""The step function for each kind of work."""
