"""confirm_send and reject_send: a user's answer to one hold or to those of a group. The first one wins (contract 4.4).

Large answers take effect at once as one row, and run in steps (`hold_answer_steps.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from schemas.settings_commands import ConfirmSend, RejectSend
from workers.commands.command_record import CommandRecord
from workers.records import Output
from workers.rules.contact import ContactKey
from workers.rules.results import Done, Refused, Result
from workers.sends.events import SendCause, origin_of_record
from workers.sends.hold_answer_steps import CHUNK, LARGE_CHUNK, AnswerChunks, Says, Tally, Word, answer_group
from workers.store import contacts, holds, pending_work, sends, workspaces
from workers.store.commands import CommandKey
from workers.store.connection import Connection
from workers.store.holds import GroupKey
from workers.store.sends import SendKey

CONTENT: Final = 32 * 1024 * 1024
"""Maximum bytes of content that the answers of one transaction dispatch."""

Answer = CommandRecord[ConfirmSend | RejectSend]

Scope = Sequence[SendKey] | Literal["nothing", "too many"]
"""The holds of an answer: sends that this transaction answers, none at all, or more than it can answer."""


@dataclass(frozen=True, slots=True)
class Docket:
    """Answers with their holds, and the contacts to lock before any send."""

    answers: Sequence[Answer] = ()
    scopes: Sequence[Scope] = ()
    people: frozenset[ContactKey] = frozenset()


async def load_subjects(tx: Connection, answers: Sequence[Answer]) -> Docket:
    """The holds of the answers. Locks their groups: one transaction at a time answers the sends of a group."""
    if not answers:
        return Docket()
    groups = {group for a in answers if (group := _group(a)) is not None}
    await holds.lock_groups(tx, groups)
    weights = await holds.weigh_groups(tx, groups, pending_work.ROWS_AT_ONCE + 1)
    left, content = pending_work.ROWS_AT_ONCE, CONTENT
    at_once: list[bool] = []
    for a in answers:
        group = _group(a)
        weight = weights.get(group) if group is not None else None
        fits = weight is None or (weight.holds <= left and weight.content <= content)
        if weight is not None and fits:
            left, content = left - weight.holds, content - weight.content
        at_once.append(fits)
    found = await holds.of_groups(
        tx, {group for a, now in zip(answers, at_once, strict=True) if now and (group := _group(a)) is not None}
    )
    single = {(a.command.workspace_id, a.command.send_id) for a in answers if a.command.send_id is not None}
    known = await sends.known(tx, single) if single else set()

    def scope(answer: Answer, *, fits: bool) -> Scope:
        if answer.command.send_id is not None:
            key = answer.command.workspace_id, answer.command.send_id
            return (key,) if key in known else "nothing"
        group = _group(answer)
        if group not in weights:
            return "nothing"
        return [hold.key for hold in found.get(group, ())] if fits else "too many"

    concerned = {contact for held in found.values() for hold in held for contact in hold.people}
    people = frozenset(concerned | await holds.people_of(tx, known))
    return Docket(answers, [scope(a, fits=fits) for a, fits in zip(answers, at_once, strict=True)], people)


async def carry_out(tx: Connection, docket: Docket, now: datetime) -> tuple[dict[CommandKey, Result], list[Output]]:
    """Applies answers in order. Returns their results and events. The permissions were checked before.

    Raises:
        RetryBatch: an address moved to another contact while this transaction waited for its owner.
    """
    tenants = await workspaces.share(tx, {(a.command.workspace_id, "", "") for a in docket.answers})
    policies = {w: tenant.policies for w, tenant in tenants.items()}
    await contacts.lock_shared(tx, docket.people)
    await sends.lock_rows(tx, {key for scope in docket.scopes if not isinstance(scope, str) for key in scope})
    groups_only = all(_group(a) is not None for a in docket.answers)  # their content is limited (CONTENT)
    chunks = AnswerChunks(tx, now, policies, LARGE_CHUNK if groups_only else CHUNK)
    tallies = [Tally(origin_of_record(a.record), _word(a)) for a in docket.answers]
    for given, scope, tally in zip(docket.answers, docket.scopes, tallies, strict=True):
        group = _group(given)
        if scope == "too many" and group is not None and tally.word is not None:
            await chunks.save()
            two_person = policies[given.command.workspace_id].two_person_confirm
            tally.counts.update(
                await answer_group(tx, group, given.command.command_id, tally.word, now, two_person=two_person)
            )
        elif not isinstance(scope, str):
            for key in scope:
                await chunks.take(tally, key)
    await chunks.save()
    given_to = zip(docket.answers, docket.scopes, tallies, strict=True)
    return {a.key: _result(a, scope, tally) for a, scope, tally in given_to}, chunks.outputs


def _group(answer: Answer) -> GroupKey | None:
    group_id = answer.command.group_id
    return (answer.command.workspace_id, group_id) if group_id is not None else None


def _word(answer: Answer) -> Word:
    command = answer.command
    cause = SendCause(str(command.command_id), origin_of_record(answer.record), command.actor.id)
    says: Says = "confirm" if isinstance(command, ConfirmSend) else "reject"
    return Word(says, cause, answer.stamp.at, command.actor.role)


def _result(answer: Answer, scope: Scope, tally: Tally) -> Result:
    single = answer.command.send_id is not None
    if scope == "nothing" and single:
        return Refused("not_found", "`send_id`: this workspace has no send with this id")
    if scope == "nothing":
        return Refused("not_found", "`group_id`: no send of this workspace belongs to this group")
    if single and tally.declined:
        return Refused(tally.declined[0].reason, tally.declined[0].detail)
    # An answer to a group ignores sends that are already final; the confirmer's own ones wait for another user.
    tally.counts["held"] += sum(d.reason == "needs_second_person" for d in tally.declined)
    return Done(dict(+tally.counts))
