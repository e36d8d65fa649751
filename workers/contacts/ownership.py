"""Addresses come to another contact: by remove_channel, by merges, or when the block ends during which one was removed.

What was stored of an address from after its end is another contact's. Mostly nothing was.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import structs

from schemas.contact_commands import MergeContacts, RemoveChannel, UndoMerge
from workers.commands.command_record import CommandRecord
from workers.commands.targets import Targets
from workers.contacts import merging
from workers.messages import moving
from workers.messages.moving import MoveCause
from workers.records import Output
from workers.rules.contact import ContactKey
from workers.rules.ownership import end_of
from workers.rules.results import Done, Refused, Result
from workers.store import blocks, contacts, ownership
from workers.store.commands import CommandKey
from workers.store.connection import Connection
from workers.store.contacts import Owned
from workers.store.ownership import OwnedAddress
from workers.store.workspaces import Workspace

_NOT_THEIRS: Final = Refused("not_found", "`identity`: the contact does not have this address on this channel")
_NOBODYS: Final = Refused("not_found", "`identity`: no contact of this workspace has this address on this channel")


async def carry_out(
    tx: Connection,
    asked: Sequence[CommandRecord[Any]],
    targets: Targets,
    tenants: Mapping[str, Workspace],
    now: datetime,
) -> tuple[dict[CommandKey, Result], list[Output]]:
    """Results of the commands, one after the other, and the events that follow. The targets of removals are locked for
    update.
    """
    results: dict[CommandKey, Result] = {}
    outputs: list[Output] = []
    nobodys = {a.key: targets.keys[a.key] for a in asked if a.key in targets.keys and a.key not in targets.addresses}
    former = await contacts.find_former(tx, set(nobodys.values()))
    for a in asked:
        tenant, events = tenants[a.command.workspace_id], list[Output]()
        match a.command:
            case MergeContacts():
                results[a.key], events = await merging.merge(tx, a, tenant, now)
            case UndoMerge():
                results[a.key] = await merging.undo(tx, a, tenant)
            case RemoveChannel() if a.key in nobodys:
                results[a.key] = _of_nobody(a.command, former.get(nobodys[a.key], ()))
            case RemoveChannel():
                results[a.key], events = await _remove(tx, a, targets, tenant, now)
        outputs += events
    return results, outputs


def _of_nobody(command: RemoveChannel, former: Sequence[Owned]) -> Result:
    """The result if nobody had the address at that time: nothing is left to do if it was removed before."""
    if command.contact_id is None:
        return Done() if former else _NOBODYS
    return Done() if any(owned.contact_id == command.contact_id for owned in former) else _NOT_THEIRS


async def _remove(
    tx: Connection, a: CommandRecord[RemoveChannel], targets: Targets, tenant: Workspace, now: datetime
) -> tuple[Result, list[Output]]:
    workspace_id = a.command.workspace_id
    found = targets.addresses[a.key]
    [owned] = (await ownership.load(tx, {(workspace_id, found.identity_id)})).values()
    if a.command.contact_id is not None:
        meant = workspace_id, a.command.contact_id
        if (await contacts.present(tx, [meant]))[meant] != owned.contact_key:
            return _NOT_THEIRS, []
    # Of two removals the earlier one ended it.
    if owned.removed is not None and owned.removed < a.stamp:
        return Done(), []
    key, judge = owned.contact_key, owned.home_key
    removed = structs.replace(owned, removed=a.stamp)
    people = await contacts.read(tx, [judge])
    people = await blocks.reaching(tx, people, [(judge, a.stamp.at)])
    cause = MoveCause(a.command.command_id, a.record, tenant)
    outputs = await _end(tx, removed, end_of(a.stamp.at, people[judge].intervals), cause, now)
    await contacts.raise_revisions(tx, [key])
    await contacts.mark_unpublished(tx, [key])
    return Done({} if owned.removed is not None else {"contact_id": owned.contact_id}), outputs


async def follow_blocks(tx: Connection, causes: Mapping[ContactKey, MoveCause], now: datetime) -> list[Output]:
    """Ends removed addresses anew where the history that judges them changed. Returns events of their messages.

    The contacts are locked for update, and the histories saved.
    """
    removed = await ownership.removed_from(tx, causes.keys()) if causes else []
    if not removed:
        return []
    people = await contacts.read(tx, {owned.home_key for owned in removed})
    people = await blocks.reaching(tx, people, _moments(removed))
    outputs: list[Output] = []
    for owned in removed:
        if owned.removed is None or (owned.began_at is not None and owned.began_at == owned.ended_at):
            continue
        end = end_of(owned.removed.at, people[owned.home_key].intervals)
        if end != owned.ended_at:
            outputs += await _end(tx, owned, end, causes[owned.home_key], now)
    return outputs


def _moments(removed: Iterable[OwnedAddress]) -> Iterable[tuple[ContactKey, datetime]]:
    return [(owned.home_key, owned.removed.at) for owned in removed if owned.removed is not None]


async def _end(
    tx: Connection, owned: OwnedAddress, end: datetime | None, cause: MoveCause, now: datetime
) -> list[Output]:
    """Moves the end of an address, and the messages between its old end and the new one."""
    before, after = owned.ended_at, structs.replace(owned, ended_at=end)
    if end is not None and (before is None or end < before):
        return await _shorten(tx, after, (end, before), cause, now)
    if before is None:
        await ownership.save(tx, [after])
        return []
    return await _lengthen(tx, after, before, cause, now)


async def _shorten(
    tx: Connection, owned: OwnedAddress, span: tuple[datetime, datetime | None], cause: MoveCause, now: datetime
) -> list[Output]:
    end, before = span
    taker = None if before is None else await ownership.following(tx, owned, before)
    await ownership.save(tx, [owned])
    if taker is not None:
        await contacts.lock_for_update(tx, [taker.contact_key])
        await ownership.save(tx, [structs.replace(taker, began_at=end)])
    return await moving.move(tx, owned.identity_id, cause, now)


async def _lengthen(
    tx: Connection, owned: OwnedAddress, before: datetime, cause: MoveCause, now: datetime
) -> list[Output]:
    """The address stays with a blocked contact: those who had it meanwhile never did."""
    givers: list[OwnedAddress] = []
    end, at = owned.ended_at, before
    while end is None or at < end:
        giver = await ownership.following(tx, owned, at)
        if giver is None:
            break
        await contacts.lock_for_update(tx, [giver.contact_key])
        until = giver.ended_at if end is None or (giver.ended_at is not None and giver.ended_at <= end) else end
        # Empty if it ends before the address does: it keeps its row, so that its contact is found again.
        rest = structs.replace(giver, began_at=until) if until is not None else structs.replace(giver, ended_at=at)
        if until is None:
            rest = structs.replace(rest, began_at=at, removed=giver.removed or owned.removed)
        await ownership.save(tx, [rest])
        givers.append(giver)
        if until is None:
            break
        at = until
    await ownership.save(tx, [owned])
    outputs: list[Output] = []
    for giver in givers:
        outputs += await moving.move(tx, giver.identity_id, cause, now)
    return outputs
