"""release_dropped: a user accepts dropped messages after a mistaken block.

Messages that one transaction cannot accept are released in steps, from the first message on. All of them are released
from then on as well: they keep their content, no other command releases them, and they appear when their step runs.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from workers.messages import reevaluation
from workers.messages.reevaluation import ReevaluationCause, released
from workers.records import Output, Record
from workers.rules.contact import Contact, ContactKey
from workers.store import contacts, messages, pending_work, workspaces
from workers.store.connection import Connection
from workers.store.messages import DroppedSelection, Stored
from workers.store.pending_work import Stepped, Work

RELEASE: Final = "release messages"


@dataclass(frozen=True, slots=True)
class Release:
    """Which dropped messages of a contact: by id, or by event time in [from_, to)."""

    command_id: UUID
    contact: Contact
    origin: Record[Any]
    message_ids: Sequence[UUID] = ()
    from_: datetime | None = None
    to: datetime | None = None

    @property
    def key(self) -> ContactKey:
        return self.contact.workspace_id, self.contact.contact_id

    @property
    def dropped(self) -> DroppedSelection:
        return DroppedSelection(self.key, self.from_, self.to, frozenset(self.message_ids))


class _Rest(Struct, frozen=True, omit_defaults=True):
    """What the steps of a release need; the view `releasable` reads it. Only messages dropped at `at` or before."""

    at: datetime
    since: datetime | None = None
    until: datetime | None = None
    message_ids: Sequence[UUID] = ()
    recorded_at: str | None = None


async def release_dropped(
    tx: Connection, releases: Sequence[Release], now: datetime
) -> tuple[dict[UUID, int], list[Output]]:
    """Accepts dropped messages whose content is still kept. Returns the number per command, and the events.

    The contacts are of one workspace, each once, locked for update and not blocked now. The first command about a
    message releases it. The events of what is left to steps follow with the steps.
    """
    wanted = [r.dropped for r in releases]
    found, complete = await messages.releasable(tx, wanted, pending_work.ROWS_AT_ONCE)
    by_contact = {r.key: ReevaluationCause(r.contact, str(r.command_id), r.origin) for r in releases}
    counts = Counter(position for position, _ in found)
    if not complete:
        wholly = await messages.count_releasable(tx, wanted)
        rest = {n: count for n, count in sorted(wholly.items()) if count > counts[n]}
        await pending_work.add(tx, [_work(releases[n], now, count) for n, count in rest.items()])
        found = [(position, message) for position, message in found if position not in rest]
        counts.update(wholly - counts)
    causes = await _by_judge(tx, by_contact, [message for _, message in found])
    given = [released(message, releases[n].origin.recorded_at) for n, message in found]
    _, outputs = await reevaluation.judge_again(tx, given, causes, now)
    return {r.command_id: counts[n] for n, r in enumerate(releases)}, outputs


async def run_step(tx: Connection, work: Work, now: datetime) -> Stepped:
    """The next step of a release that was too large for one transaction."""
    key = work.workspace_id, UUID(work.subject)
    rest = msgspec.convert(work.details, _Rest)
    # Before the contact, in lock order: a change of settings holds the workspace and may wait for the contact.
    await workspaces.share(tx, {(work.workspace_id, "", "")})
    current = await contacts.lock_present(tx, [key])
    if key not in current:
        return Stepped((), 0, more=False)
    key = current[key].key
    since = datetime.fromisoformat(work.cursor) if work.cursor is not None else rest.since
    wanted = DroppedSelection(key, since, rest.until, frozenset(rest.message_ids))
    found, complete = await messages.releasable(tx, [wanted], pending_work.STEP, work.number)
    origin = pending_work.origin(now, rest.recorded_at)
    by_contact = {key: ReevaluationCause(current[key], str(work.command_id), origin)}
    causes = await _by_judge(tx, by_contact, [message for _, message in found])
    given = [released(message, origin.recorded_at) for _, message in found]
    _, outputs = await reevaluation.judge_again(tx, given, causes, now)
    cursor = found[-1][1].event_time.isoformat() if found and since is not None else None
    return Stepped(outputs, len(found), more=not complete, cursor=cursor)


async def _by_judge(
    tx: Connection, causes: Mapping[ContactKey, ReevaluationCause], found: Iterable[Stored]
) -> dict[ContactKey, ReevaluationCause]:
    """The cause of each contact whose blocks judge some of these messages, or who has them."""
    owners = {(m.workspace_id, m.home_id): (m.workspace_id, m.contact_id) for m in found if m.home_id != m.contact_id}
    judges = await contacts.read(tx, owners) if owners else {}
    return {**causes, **{key: replace(causes[owner], home=judges[key]) for key, owner in owners.items()}}


def _work(release: Release, now: datetime, total: int) -> Work:
    workspace_id, contact_id = release.key
    return Work(
        workspace_id=workspace_id,
        kind=RELEASE,
        subject=str(contact_id),
        command_id=release.command_id,
        details=msgspec.to_builtins(
            _Rest(
                now,
                release.from_,
                release.to,
                list(release.dropped.message_ids),
                release.origin.recorded_at.isoformat(),
            )
        ),
        total=total,
    )
