"""Holds follow their contact through a merge and its undo, because they are listed by contact: very many in steps.

Until its step a hold is shown with the contact before.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from workers.rules.contact import ContactKey
from workers.store import contacts, merges, pending_work
from workers.store.connection import Connection
from workers.store.pending_work import Stepped, Work

MOVE_HOLDS: Final = "move holds"
_SURVIVOR: Final = "survivor"


async def give(tx: Connection, survivor: ContactKey, loser: ContactKey, command_id: UUID) -> None:
    """Gives the holds of a contact that was merged away to the survivor. Both are locked for update."""
    moved = await merges.give_holds(tx, loser, survivor, pending_work.ROWS_AT_ONCE)
    await _leave(tx, loser, survivor, command_id, moved, loser)


async def give_back(tx: Connection, survivor: ContactKey, loser: ContactKey, command_id: UUID) -> None:
    """Gives holds to the addresses of a contact that is no longer merged back to it. Both are locked for update."""
    moved = await merges.return_holds(tx, survivor, loser, pending_work.ROWS_AT_ONCE)
    await _leave(tx, loser, survivor, command_id, moved, survivor)


async def run_step(tx: Connection, work: Work, _now: datetime) -> Stepped:
    """Moves the next holds, by whether the contact is merged now."""
    loser, survivor = (work.workspace_id, UUID(work.subject)), (work.workspace_id, UUID(work.details[_SURVIVOR]))
    known = (await contacts.lock_for_update(tx, [loser, survivor])).get(loser)
    if known is None:
        return Stepped((), 0, more=False)
    if known.merged_into is not None:
        moved = await merges.give_holds(tx, loser, (work.workspace_id, known.merged_into), pending_work.STEP)
    else:
        moved = await merges.return_holds(tx, survivor, loser, pending_work.STEP)
    return Stepped((), moved, more=moved == pending_work.STEP)


async def _leave(
    tx: Connection, loser: ContactKey, survivor: ContactKey, command_id: UUID, moved: int, giver: ContactKey
) -> None:
    if moved < pending_work.ROWS_AT_ONCE:
        return
    work = Work(
        workspace_id=loser[0],
        kind=MOVE_HOLDS,
        subject=str(loser[1]),
        command_id=command_id,
        details={_SURVIVOR: survivor[1]},
        done=moved,
        total=moved + await merges.count_holds(tx, giver),
    )
    await pending_work.add(tx, [work])
