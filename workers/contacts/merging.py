"""merge_contacts and undo_merge: identities move, and with them everything that belongs to them.

How many rows that changes does not depend on how many messages there are. Other parts of the loser stay where they are
and are found by its row, which leads to the survivor.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from msgspec import structs

from schemas.contact_commands import MergeContacts, UndoMerge
from workers.commands.command_record import CommandRecord
from workers.contacts import moving_holds
from workers.messages import recounting
from workers.records import Output
from workers.rules import merging as rules
from workers.rules.closing import LateCause
from workers.rules.contact import Contact, ContactKey
from workers.rules.last_write_wins import LastWrite
from workers.rules.merging import Side
from workers.rules.results import Done, Refused, Result
from workers.rules.workflows import ContactGone
from workers.store import contacts, deletions, mac_of_merges, merges, messages, ownership, profiles
from workers.store import tags as stored_tags
from workers.store.connection import Connection
from workers.store.contacts import Said
from workers.store.mac_of_merges import Regrouping
from workers.store.merges import MergeSnapshot, StoredMerge, TagChange
from workers.store.workspaces import Workspace
from workers.workflows import halting

_NO_SURVIVOR: Final = Refused("not_found", "`survivor_id`: this workspace has no contact with this id")
_NO_LOSER: Final = Refused("not_found", "`loser_id`: this workspace has no contact with this id")
_DELETED: Final = Refused("contact_deleted", "`survivor_id` or `loser_id`: this contact was deleted")
_NAMES: Final[Mapping[str, Sequence[str]]] = {
    "name": ("display_name", "first_name"),
    "language": ("language",),
    "avatar_url": ("avatar_url",),
}
"""What messages say of their sender, and the columns that have it."""


async def merge(
    tx: Connection, asked: CommandRecord[MergeContacts], tenant: Workspace, now: datetime
) -> tuple[Result, list[Output]]:
    """The result of the command, and the events of the loser's runs."""
    command = asked.command
    named = [(command.workspace_id, id_) for id_ in (command.survivor_id, command.loser_id)]
    # Both at once, in one order: merges that cross each other must not wait for one another.
    present = await contacts.lock_present(tx, named)
    found = [present.get(key) for key in named]
    if found[0] is None or found[1] is None:
        if await deletions.among(tx, named):
            return _DELETED, []
        return _NO_SURVIVOR if found[0] is None else _NO_LOSER, []
    survivor, loser = found[0], found[1]
    if survivor.key == loser.key:
        return rules.SAME, []
    if survivor.blocked or loser.blocked:
        return rules.BLOCKED, []
    return await _merge(tx, asked, (survivor, loser), tenant, now)


async def _merge(
    tx: Connection,
    asked: CommandRecord[MergeContacts],
    both: tuple[Contact, Contact],
    tenant: Workspace,
    now: datetime,
) -> tuple[Result, list[Output]]:
    survivor, loser = both
    into, gone = survivor.key, loser.key
    sides = await merges.sides(tx, [into, gone])
    before, theirs = sides[into], sides[gone]
    after = rules.merged(before, theirs, asked.command.choices or {}, asked.stamp)
    if isinstance(after, Refused):
        return after, []
    talks = (before.conversation, survivor.intervals), (theirs.conversation, loser.intervals)
    after = structs.replace(after, conversation=rules.talk(*talks, asked.stamp, now))
    known = await merges.tags(tx, into)
    gets = rules.united(known, await merges.tags(tx, gone))
    if isinstance(gets, Refused):
        return gets, []
    members = [contact_id for _, contact_id in (await contacts.merged_into(tx, [gone])).get(gone, ())]
    await contacts.lock_for_update(tx, [(into[0], contact_id) for contact_id in members])
    # Before its identities move: the contact has the runs, its row stays.
    cut = ContactGone(asked.stamp.at, "contact_merged")
    halted, outputs = await halting.end(tx, {gone: cut}, {gone: asked.record}, now)

    await merges.save(tx, into, after)
    left: LastWrite[str | None] = LastWrite(None, theirs.profile.written)
    await profiles.save_memberships(tx, {into: before.profile, gone: theirs.profile}, {into: after.profile, gone: left})
    await stored_tags.save(tx, {(*into, tag): state for tag, state in gets.items()})
    identities = await merges.join(tx, into, gone, members)
    await moving_holds.give(tx, into, gone, asked.command.command_id)
    await mac_of_merges.unite(tx, _regrouping(asked, into, gone, "merge"), tenant.calendar)
    kept = MergeSnapshot(
        members=members,
        identities=identities,
        before=before,
        after=after,
        loser_profile=theirs.profile,
        tags=[TagChange(tag, known.get(tag), state) for tag, state in gets.items()],
    )
    actor = asked.command.actor.id
    times = asked.stamp.at, asked.record.recorded_at
    await merges.add(tx, asked.command.command_id, into, gone, actor, *times, kept)
    await recounting.leave_moved(tx, [into], asked.command.command_id)
    await _tell(tx, into, gone)
    return Done({"merge_id": asked.command.command_id, "runs_halted": halted[gone]}), outputs


async def undo(tx: Connection, asked: CommandRecord[UndoMerge], tenant: Workspace) -> Result:
    """The result of the command."""
    workspace_id, merge_id = asked.command.workspace_id, asked.command.merge_id
    seen = await merges.find(tx, workspace_id, merge_id)
    if seen is None:
        return rules.UNKNOWN_MERGE
    into, gone = (workspace_id, seen.survivor_id), (workspace_id, seen.loser_id)
    locked = await contacts.lock_for_update(tx, [into, gone])
    merge = await merges.find(tx, workspace_id, merge_id)
    if merge is None:
        return rules.UNKNOWN_MERGE
    if merge.undone_at is not None:
        return rules.UNDONE
    kept = merge.snapshot
    if kept is None or not {into, gone} <= locked.keys() or await merges.merged_since(tx, workspace_id, merge):
        return rules.MERGED_AGAIN
    late = rules.too_late(merge.merged_at, asked.stamp.at, tenant.policies.merge_undo_hours)
    if late is not None:
        return late
    await _undo(tx, asked, merge, kept, (into, gone), tenant)
    return Done({"merge_id": merge_id})


async def _undo(
    tx: Connection,
    asked: CommandRecord[UndoMerge],
    merge: StoredMerge,
    kept: MergeSnapshot,
    both: tuple[ContactKey, ContactKey],
    tenant: Workspace,
) -> None:
    into, gone = both
    await contacts.lock_for_update(tx, [(into[0], contact_id) for contact_id in kept.members])
    sides = await merges.sides(tx, both)
    present, theirs = sides[into], sides[gone]
    await merges.part(tx, into, gone, kept.members, kept.identities)
    await moving_holds.give_back(tx, into, gone, asked.command.command_id)
    restored = rules.undone(present, kept.before, kept.after)
    said = await _said_since(tx, both, merge.merged_at)
    restored = _named(restored, present, kept, {name: said[*into, name] for name in _NAMES if (*into, name) in said})
    await merges.save(tx, into, restored)
    profile = await _profile(tx, into[0], kept.loser_profile)
    await profiles.save_memberships(
        tx, {into: present.profile, gone: theirs.profile}, {into: restored.profile, gone: profile}
    )
    await _untag(tx, into, kept.tags)
    await contacts.rename(tx, {key: value for key, value in said.items() if key[1] == gone[1] and value is not None})
    for active in await mac_of_merges.separate(tx, _regrouping(asked, into, gone, "undo_merge"), tenant.calendar):
        key = active.workspace_id, active.contact_id
        await recounting.leave(tx, key, active.cycle.start, asked.command.command_id)
    opened = {into: kept.before.conversation.opened_at, gone: theirs.conversation.opened_at}
    await _open_again(tx, opened, asked)
    await merges.undo(tx, into[0], merge.merge_id, asked.stamp.at, asked.record.recorded_at)
    await recounting.leave_moved(tx, both, asked.command.command_id)
    await _tell(tx, into, gone)


async def _said_since(tx: Connection, both: Sequence[ContactKey], merged_at: datetime) -> dict[Said, str | None]:
    """What messages since the merge say of their senders, now that they have gone back; None: nothing."""
    wanted: dict[Said, datetime] = {(*key, name): merged_at for key in both for name in _NAMES}
    return await messages.latest_of_sender(tx, wanted)


def _named(restored: Side, present: Side, kept: MergeSnapshot, said: Mapping[str, str | None]) -> Side:
    """The survivor's values, without what a message said that has gone back."""
    columns = dict(restored.said)
    for name, value in said.items():
        for column in _NAMES[name]:
            if value is not None:
                columns[column] = value
            elif present.said[column] != kept.after.said[column]:
                columns[column] = kept.before.said[column]
    return structs.replace(restored, said=columns)


async def _profile(tx: Connection, workspace_id: str, before: LastWrite[str | None]) -> LastWrite[str | None]:
    """The loser's profile, unless it is deleted."""
    if before.value is None or await merges.has_profile(tx, workspace_id, before.value):
        return before
    return LastWrite(None, before.written)


async def _untag(tx: Connection, survivor: ContactKey, came: Sequence[TagChange]) -> None:
    """Takes the tags that came with the loser, unless they were given again since."""
    known = await merges.tags(tx, survivor) if came else {}
    left = [change for change in came if known.get(change.tag) == change.after]
    await merges.forget_tags(tx, survivor, [change.tag for change in left if change.before is None])
    await stored_tags.save(tx, {(*survivor, c.tag): c.before for c in left if c.before is not None})


async def _open_again(
    tx: Connection, known: Mapping[ContactKey, datetime | None], asked: CommandRecord[UndoMerge]
) -> None:
    """Finds what opened each conversation, by the messages that it has now. `known`: what had opened it before."""
    people = await contacts.read(tx, known)
    witnesses, undecided = await messages.opening_messages(tx, {key: c.last_closing for key, c in people.items()})
    for key in undecided:
        await recounting.leave(tx, key, asked.stamp.at, asked.command.command_id)
    opened = {
        key: max((at for at in (before, witnesses.get(key)) if at is not None), default=None)
        for key, before in known.items()
    }
    await contacts.open_conversations(tx, {key: at for key, at in opened.items() if at != people[key].opened_at})


async def _tell(tx: Connection, survivor: ContactKey, loser: ContactKey) -> None:
    await ownership.note_moved(tx, [survivor[1], loser[1]])
    await contacts.mark_unpublished(tx, [survivor, loser])


def _regrouping(
    asked: CommandRecord[MergeContacts] | CommandRecord[UndoMerge],
    into: ContactKey,
    gone: ContactKey,
    cause: LateCause,
) -> Regrouping:
    source, command_id = asked.record.source, asked.command.command_id
    shard = f"{source.topic}/{source.partition}"
    return Regrouping(*into, gone[1], command_id, cause, asked.stamp.at, asked.record.recorded_at, shard)
