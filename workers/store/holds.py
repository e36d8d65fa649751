"""Holds, and answers to many holds that run in steps.

Such an answer is a row of `pending_work`. From its insert on its holds are answered (`answered_by` of the view
`holds`). Each hold ends in a step, or when another answer to it arrives.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Struct

from workers.rules.contact import ContactKey
from workers.rules.workflows import RunKey
from workers.store import pending_work
from workers.store.arrays import columns
from workers.store.connection import Connection
from workers.store.pending_work import Work
from workers.store.queries import load
from workers.store.sends import SendKey

_SQL: Final = load("holds")

GroupKey = tuple[str, str]
"""(workspace_id, group_id)"""

CONFIRM: Final = "confirm holds"
REJECT: Final = "reject holds"
CANCEL: Final = "cancel holds"
REFUSE: Final = "refuse holds"

STEP_BYTES: Final = 8 * 1024 * 1024
"""Maximum content, in bytes of JSON, that one step dispatches."""

_NEXT: Final[Mapping[str, str]] = {
    CONFIRM: "next_of_group",
    REJECT: "next_of_group",
    CANCEL: "next_of_contact",
    REFUSE: "next_of_run",
}
_FIRST: Final = UUID(int=0)


class Terms(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which holds of its subject an answer is about, and the fields of their events.

    Those held before `at`, requested before `until` (None: at any time) and not by `not_of`.
    """

    at: datetime
    issued_at: datetime
    actor: str | None = None
    role: str | None = None
    until: datetime | None = None
    not_of: str | None = None
    traceparent: str | None = None


class Weight(NamedTuple):
    """How many holds of a group wait for an answer, and the bytes of their content."""

    holds: int
    content: int


class OpenHold(NamedTuple):
    """A hold that waits. `people`: its contact, and the contact that owns its address."""

    key: SendKey
    people: tuple[ContactKey, ...]


class Counted(NamedTuple):
    """The number of holds, and their keys; None if there are too many."""

    holds: int
    keys: list[SendKey] | None


async def lock_groups(tx: Connection, groups: Collection[GroupKey]) -> None:
    """Locks groups: no other transaction answers them until this one ends."""
    if groups:
        await tx.execute(_SQL["lock_groups"], *columns(sorted(groups), 2))


async def weigh_groups(tx: Connection, groups: Collection[GroupKey], limit: int) -> dict[GroupKey, Weight]:
    """The groups that have sends, held or not. Reads at most `limit` holds of each."""
    rows = await tx.fetch(_SQL["measure_groups"], *columns(sorted(groups), 2), limit) if groups else ()
    return {(w, group): Weight(*weight) for w, group, *weight in rows}


async def of_groups(tx: Connection, groups: Collection[GroupKey]) -> dict[GroupKey, list[OpenHold]]:
    """Holds of the groups that wait for an answer, in the order of their requests."""
    found: dict[GroupKey, list[OpenHold]] = {}
    for w, group, *hold in await tx.fetch(_SQL["of_groups"], *columns(sorted(groups), 2)) if groups else ():
        found.setdefault((w, group), []).append(_hold(w, *hold))
    return found


async def people_of(tx: Connection, keys: Collection[SendKey]) -> set[ContactKey]:
    """The contacts concerned by the holds among these sends."""
    rows = await tx.fetch(_SQL["people_of"], *columns(sorted(keys), 2)) if keys else ()
    return {(w, contact) for w, *people in rows for contact in people if contact is not None}


async def answers(tx: Connection, keys: Collection[SendKey]) -> dict[SendKey, Work]:
    """The holds among these sends that are already answered, with the answer."""
    found: dict[SendKey, Work] = {}
    for row in await tx.fetch(_SQL["answers"], *columns(sorted(keys), 2)) if keys else ():
        values = dict(row)
        send_ids = values.pop("send_ids")
        work = pending_work.work_of(values)
        found |= {(work.workspace_id, send_id): work for send_id in send_ids}
    return found


async def confirmation_outcomes(tx: Connection, group: GroupKey, at: datetime, not_of: str | None) -> dict[str, int]:
    """The result of confirming a group, by `released`, `refused` and `held`. Requests of `not_of` stay held."""
    return dict(await tx.fetch(_SQL["confirmation_outcomes"], *group, at, not_of))


async def count_group(tx: Connection, group: GroupKey, at: datetime) -> int:
    """The number of holds that an answer at that time is about."""
    return int(await tx.fetchval(_SQL["count_group"], *group, at))


async def of_contacts(tx: Connection, until: Mapping[ContactKey, datetime], limit: int) -> dict[ContactKey, Counted]:
    """Holds that wait for an answer, were requested before a time, and go to these contacts or to their addresses."""
    rows = [(*key, at) for key, at in sorted(until.items())]
    return _counted(await tx.fetch(_SQL["of_contacts"], *columns(rows, 3), limit))


async def of_runs(tx: Connection, runs: Collection[RunKey], limit: int) -> dict[RunKey, Counted]:
    """Holds of these runs that wait for an answer."""
    return _counted(await tx.fetch(_SQL["of_runs"], *columns(sorted(runs), 2), limit))


async def next_of(tx: Connection, work: Work) -> list[OpenHold]:
    """The next holds that the work ends, in the order of their ids; none: the work is finished."""
    subject = UUID(work.subject) if work.kind == CANCEL else work.subject
    after = UUID(work.cursor) if work.cursor is not None else _FIRST
    bounds = (pending_work.STEP, STEP_BYTES) if work.kind in (CONFIRM, REJECT) else (pending_work.STEP,)
    rows = await tx.fetch(_SQL[_NEXT[work.kind]], work.workspace_id, subject, work.number, after, *bounds)
    return [_hold(work.workspace_id, *row) for row in rows]


def work(kind: str, subject: tuple[str, object], command_id: UUID, terms: Terms, total: int) -> Work:
    """Pending work for an answer to `total` holds. `subject` is a workspace and a group, contact or run in it."""
    workspace_id, about = subject
    details = msgspec.to_builtins(terms)
    return Work(
        workspace_id=workspace_id, kind=kind, subject=str(about), command_id=command_id, details=details, total=total
    )


def terms_of(answer: Work) -> Terms:
    return msgspec.convert(answer.details, Terms)


def _hold(workspace_id: str, send_id: UUID, *people: UUID | None) -> OpenHold:
    concerned = tuple((workspace_id, contact_id) for contact_id in people if contact_id is not None)
    return OpenHold((workspace_id, send_id), concerned)


def _counted(rows: Collection[Any]) -> dict[tuple[str, Any], Counted]:
    return {
        (w, subject): Counted(holds, [(w, s) for s in send_ids] if send_ids is not None else None)
        for w, subject, holds, send_ids in rows
    }
