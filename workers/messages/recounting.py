"""Recounts a workspace after a change of a setting that decides about its cycles or what counts.

It goes contact by contact, and saves all messages of a contact at once, so each contact is counted by the old settings
or by the new ones. Upkeep does in steps what is too much for the command's transaction. Meanwhile old and new cycles
exist side by side, and an old one is deleted once it has no active contact.
"""

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from workers.rules.contact import Contact, ContactKey
from workers.rules.conversations import opened_last, opens
from workers.rules.cycles import FIRST_INSTANT, Cycle
from workers.rules.mac import Evidence, is_counted, proof_now
from workers.store import contacts, deletions, mac, pending_work, recounts, workspaces
from workers.store.connection import Connection
from workers.store.mac import LateFact
from workers.store.pending_work import Stepped, Work
from workers.store.recounts import RecountedMessage, RecountPosition
from workers.store.workspaces import Workspace

RECOUNT: Final = "count again"
RECOUNT_OF_CONTACT: Final = "count a contact again"

_PAGE: Final = 500  # contacts read at once
_CYCLES_AT_ONCE: Final = 2_000
_LONGEST: Final = timedelta(days=32)  # of a cycle
_NO_ID: Final = UUID(int=0)
_START: Final = RecountPosition(_NO_ID, FIRST_INSTANT, _NO_ID)
_SINCE: Final = "since"


class _Page(NamedTuple):
    """Messages `after` a position, complete up to `until`, of contacts in the order of their ids."""

    messages: Sequence[RecountedMessage]
    contacts: Sequence[UUID]
    after: RecountPosition
    until: RecountPosition

    def holds(self, contact_id: UUID, message: Evidence) -> bool:
        return self.after < RecountPosition(contact_id, *message) <= self.until


class _Counted(NamedTuple):
    """`place`: where to continue, None: nothing is left. `contacts` are done, and `rows` were read."""

    place: RecountPosition | None
    contacts: int
    rows: int


async def recount(
    tx: Connection, since: Mapping[str, datetime], commands: Mapping[str, UUID], now: datetime
) -> dict[str, tuple[datetime, datetime]]:
    """Decides again what counts, in workspaces whose cycles changed from that time on. The settings must have been
    saved; `commands` are the causes.

    Returns the range of the cycles of each workspace with a message. A setting mostly arrives before the messages it
    applies to; then there is nothing to recount.
    """
    spans: dict[str, tuple[datetime, datetime]] = {}
    rows, cycles = pending_work.ROWS_AT_ONCE, _CYCLES_AT_ONCE
    for workspace_id, tenant in (await workspaces.lock(tx, since)).items():
        if tenant.first_message_at is None:
            continue
        spans[workspace_id] = tenant.first_message_at, max(tenant.first_message_at, now)
        earliest = since[workspace_id]
        if earliest > now and not await mac.has_cycles_since(tx, workspace_id, earliest):
            continue
        # Work of an older command must use these settings from now on, so it starts again.
        left = await pending_work.take_back(tx, workspace_id, RECOUNT)
        earliest = min([earliest, *map(_since, left)])
        cycles -= await _cut(tx, tenant, earliest, now, cycles)
        place, done = _START, 0
        while (counted := await _count(tx, tenant, earliest, place, rows)).place is not None:
            place, done, rows = counted.place, done + counted.contacts, rows - counted.rows
            if rows <= 0:
                break
        if counted.place is None:
            await _remove_old_cycles(tx, tenant, earliest)
        else:
            await pending_work.add(tx, [await _work(tx, tenant, commands[workspace_id], earliest, counted.place, done)])
    return spans


async def run_step(tx: Connection, work: Work, _now: datetime) -> Stepped:
    """Recounts the next contacts of a workspace that was too large for one transaction."""
    tenant = (await workspaces.share(tx, {(work.workspace_id, "", "")}))[work.workspace_id]
    since = _since(work)
    place = msgspec.json.decode(work.cursor, type=RecountPosition) if work.cursor else _START
    counted = await _count(tx, tenant, since, place, pending_work.STEP, lock=True)
    if counted.place is None:
        await _remove_old_cycles(tx, tenant, since)
        return Stepped((), counted.contacts, more=False)
    cursor = msgspec.json.encode(counted.place).decode()
    return Stepped((), counted.contacts, more=True, cursor=cursor)


async def leave(tx: Connection, contact: ContactKey, since: datetime, command_id: UUID) -> None:
    """Leaves a contact to steps if its next counted or opening message is not among the first ones."""
    workspace_id, contact_id = contact
    work = Work(
        workspace_id=workspace_id, kind=RECOUNT_OF_CONTACT, subject=str(contact_id), command_id=command_id, total=1
    )
    await pending_work.add_since(tx, work, since)


async def leave_moved(tx: Connection, both: Collection[ContactKey], command_id: UUID) -> None:
    """Leaves contacts of one workspace, between whom messages moved, to steps while the workspace is being recounted:
    it may have passed one of them and not the other.
    """
    workspace_id = next(iter(both))[0]
    since = await pending_work.earliest(tx, workspace_id, RECOUNT, _SINCE)
    if since is not None:
        for key in both:
            await leave(tx, key, since, command_id)


async def run_contact_step(tx: Connection, work: Work, _now: datetime) -> Stepped:
    """Searches the next messages of a contact for proofs of its activity, and for one that opened the conversation."""
    tenant = (await workspaces.share(tx, {(work.workspace_id, "", "")}))[work.workspace_id]
    key, since = (work.workspace_id, UUID(work.subject)), _since(work)
    contact = (await contacts.lock_present(tx, [key])).get(key)
    if contact is not None:
        key = contact.key
    elif not await deletions.among(tx, [key]):
        return Stepped((), 0, more=False)
    # Within a cycle, maybe: a proof that is earlier is none of those that are seen.
    place = RecountPosition(key[1], since, _NO_ID)
    if work.cursor:
        reached = msgspec.json.decode(work.cursor, type=RecountPosition)
        # Merged since: what the survivor has begins again.
        place = reached if reached.contact_id == key[1] else place
    messages = await recounts.messages(tx, work.workspace_id, [key[1]], since, place, pending_work.STEP)
    more = len(messages) == pending_work.STEP
    until = messages[-1].place if more else _end_of(key[1])
    page = _Page(messages, [key[1]], place, until)
    proven = await mac.open_proofs(tx, work.workspace_id, page.contacts)
    # The message of a proof may have moved to another contact.
    doubtful = {(a.cycle.start, a.contact_id): a.cycle for a, proof in proven.items() if page.holds(key[1], proof)}
    await _save(tx, tenant, since, page, doubtful)
    if contact is not None:
        await _open(tx, contact, messages)
    if not more:
        # The recount of the workspace may have ended before: an old cycle may have lost its last contact now.
        await _remove_old_cycles(tx, tenant, since)
    return Stepped((), 0, more=more, cursor=msgspec.json.encode(until).decode() if more else None)


async def _open(tx: Connection, contact: Contact, messages: Sequence[RecountedMessage]) -> None:
    """Opens the conversation if one of these messages opened it."""
    closed = contact.last_closing
    witness = max(
        (m.event_time for m in messages if not m.dropped and opens(m.kind, m.event_time, closed)), default=None
    )
    opened = opened_last(contact.opened_at, contact.intervals, witness)
    if opened is not None and opened != contact.opened_at:
        await contacts.open_conversations(tx, {contact.key: opened})
        await contacts.mark_unpublished(tx, [contact.key])


async def _work(
    tx: Connection, tenant: Workspace, command_id: UUID, since: datetime, place: RecountPosition, done: int
) -> Work:
    return Work(
        workspace_id=tenant.workspace_id,
        kind=RECOUNT,
        subject="",
        command_id=command_id,
        details={_SINCE: since.isoformat()},
        cursor=msgspec.json.encode(place).decode(),
        done=done,
        total=await recounts.number_of_contacts(tx, tenant.workspace_id),
    )


def _since(work: Work) -> datetime:
    # The first of all times is stored as one without a date.
    since: str = work.details[_SINCE]
    return FIRST_INSTANT if since == "-infinity" else datetime.fromisoformat(since)


async def _cut(tx: Connection, tenant: Workspace, since: datetime, now: datetime, most: int) -> int:
    """Inserts rows of new cycles, and deletes those of old ones without active contacts. Returns how many of `most`
    that takes. The billing worker creates the rest.
    """
    known = await recounts.cycles_since(tx, tenant.workspace_id, since)
    now_so = [tenant.calendar.at(c.start)[0] for c in known]
    ends = {new.start: new.end for c, new in zip(known, now_so, strict=True) if new.start == c.start and new != c}
    await recounts.move_ends(tx, tenant.workspace_id, ends)
    await _remove_old_cycles(tx, tenant, since)
    first = max(since, tenant.first_message_at or now)
    made = [cycle for cycle, _ in islice(tenant.calendar.between(first, now), most + 1)] if first <= now else []
    if len(made) > most:
        await recounts.forget_where_cycles_are(tx, tenant.workspace_id)
        return most
    await mac.add_cycles(tx, ((tenant.workspace_id, cycle) for cycle in made))
    return len(made)


async def _remove_old_cycles(tx: Connection, tenant: Workspace, since: datetime) -> None:
    known = await recounts.cycles_since(tx, tenant.workspace_id, since)
    old = [c.start for c in known if tenant.calendar.at(c.start)[0].start != c.start]
    await recounts.remove_cycles(tx, tenant.workspace_id, old)


async def _count(
    tx: Connection, tenant: Workspace, since: datetime, place: RecountPosition, limit: int, *, lock: bool = False
) -> _Counted:
    """Recounts some contacts from a position on, and at most `limit` messages. The workspace is locked for update, or
    the contacts are locked here.
    """
    workspace_id = tenant.workspace_id
    found = await recounts.contacts_from(tx, workspace_id, place.contact_id, _PAGE + 1)
    page, following = found[:_PAGE], found[_PAGE:]
    if not page:
        return _Counted(None, 0, 0)
    if lock:
        await contacts.lock_for_update(tx, [(workspace_id, contact_id) for contact_id in page])
    messages = await recounts.messages(tx, workspace_id, page, since, place, limit)
    if len(messages) < limit:
        await _save(tx, tenant, since, _Page(messages, page, place, _end_of(page[-1])))
        going_on = RecountPosition(following[0], FIRST_INSTANT, _NO_ID) if following else None
        return _Counted(going_on, len(page), len(page) + len(messages))
    last = messages[-1].place
    reached = [contact_id for contact_id in page if contact_id <= last.contact_id]
    await _save(tx, tenant, since, _Page(messages, reached, place, last))
    return _Counted(last, len(reached) - 1, len(reached) + len(messages))


def _end_of(contact_id: UUID) -> RecountPosition:
    return RecountPosition(contact_id, datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))


async def _save(
    tx: Connection,
    tenant: Workspace,
    since: datetime,
    page: _Page,
    doubtful: Mapping[tuple[datetime, UUID], Cycle] = MappingProxyType({}),
) -> None:
    """Saves what the messages of a page count for. `doubtful`: cycles and contacts that none of them may be about."""
    workspace_id, calendar = tenant.workspace_id, tenant.calendar
    known = await recounts.cycles_since(tx, workspace_id, since)
    starts = [cycle.start for cycle in known]
    changed: list[tuple[int, UUID, bool, str | None]] = []
    earliest: dict[tuple[datetime, UUID], Evidence] = {}
    late: list[LateFact] = []
    touched = dict(doubtful)
    for m in page.messages:
        cycle, settings = calendar.at(m.event_time)
        counted = is_counted(
            cycle=cycle,
            settings=settings,
            kind=m.kind,
            channel_id=m.channel_id,
            dropped=m.dropped,
            block_start=m.block_start,
        )
        rule = settings.mac_block_effect if m.dropped else None
        if (counted, rule) != (m.counted, m.mac_rule):
            changed.append((m.generation, m.message_id, counted, rule))
        touched.update(((old.start, m.contact_id), old) for old in _about(known, starts, m.event_time))
        if counted and calendar.is_late(cycle, m.recorded_at):
            late.append(LateFact(workspace_id, cycle, m.contact_id, "late_message", str(m.message_id)))
        elif counted:
            touched[cycle.start, m.contact_id] = cycle
            earliest.setdefault((cycle.start, m.contact_id), Evidence(m.event_time, m.message_id))
    await recounts.save(tx, workspace_id, changed)
    await mac.forget_counted(tx, [(workspace_id, contact_id) for contact_id in page.contacts])
    stored = await mac.proofs(tx, [(workspace_id, *key) for key in touched])
    now: dict[tuple[str, Cycle, UUID], Evidence | None] = {}
    for (start, contact_id), cycle in touched.items():
        before = stored.get((workspace_id, start, contact_id))
        seen = before is not None and page.holds(contact_id, before)
        proof = proof_now(before, earliest.get((start, contact_id)), seen=seen)
        if proof != before:
            now[workspace_id, cycle, contact_id] = proof
    await mac.replace_proofs(tx, now, stored.keys())
    await mac.leave_late(tx, late)
    await recounts.unsettle(tx, workspace_id, touched.keys())


def _about(cycles: Sequence[Cycle], starts: Sequence[datetime], at: datetime) -> Sequence[Cycle]:
    """Cycles that contain a time, or did before the change: a new one, and old ones that still have a row."""
    return cycles[bisect_right(starts, at - _LONGEST) : bisect_right(starts, at)]
