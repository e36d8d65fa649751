"""Verifies the counts of all workspaces each night, in steps that go on where the last one ended."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from workers.billing import verifying
from workers.errors import NotFound
from workers.records import Event
from workers.rules.verifying import Difference
from workers.services.job_runner import Job, Unfinished
from workers.store import verifying as stored
from workers.store import workspaces
from workers.store.connection import Connection
from workers.store.verifying import Round

_AT_NIGHT: Final = timedelta(hours=1)  # after midnight, UTC
_STEP_S: Final = 0.5
"""About how long a step takes; a single large cycle or contact may take longer."""
_CONTACTS_AT_ONCE: Final = 2_000
_MERGED_AT_ONCE: Final = 500
_MOST: Final = 1_000
"""Maximum number of differences of one part."""
_EXAMPLES: Final = 20

log = structlog.get_logger()


class Place(Struct, frozen=True, kw_only=True):
    """How far a round is: in this workspace, or, if there is no `cycle`, before the next one.

    First come figures: `cycle` is the last one whose are compared. Then contacts: `contact` is the first one that is
    not compared with its messages. Then those that were merged: `families` are compared. `found` differences, of which
    `examples` are some.
    """

    workspace_id: str = ""
    cycle: datetime | None = None
    contact: UUID | None = None
    families: int | None = None
    under_way: bool = False
    found: int = 0
    examples: list[Difference] = []


async def verify(tx: Connection, now: datetime) -> Sequence[Event] | Unfinished:
    """A step of the round of this night."""
    current = await stored.lock_round(tx)
    if current is None or (current.ended_at is not None and current.began_at < _night(now)):
        current = Round(now, None, "{}")
    if current.ended_at is None:
        until = time.monotonic() + _STEP_S
        place = await _next_part(tx, msgspec.json.decode(current.place, type=Place), now)
        while place is not None and time.monotonic() < until:
            place = await _next_part(tx, place, now)
        ended_at = now if place is None else None
        await stored.save_round(tx, Round(current.began_at, ended_at, msgspec.json.encode(place or Place()).decode()))
        if place is not None:
            return Unfinished()
    return ()


def _night(now: datetime) -> datetime:
    """When the last night began."""
    tonight = now.replace(hour=0, minute=0, second=0, microsecond=0) + _AT_NIGHT
    return tonight if tonight <= now else tonight - timedelta(days=1)


async def _next_part(tx: Connection, place: Place, now: datetime) -> Place | None:
    """Where the next part begins. None: all workspaces are verified."""
    if not place.under_way:
        following = await stored.workspaces_after(tx, place.workspace_id, 1)
        return Place(workspace_id=following[0], under_way=True) if following else None
    workspace_id = place.workspace_id
    # Settings cannot change until the transaction ends.
    await workspaces.share(tx, {(workspace_id, "", "")})
    try:
        scope = await verifying.scope(tx, workspace_id, None, now)
    except NotFound:
        return Place(workspace_id=workspace_id)
    if place.contact is None and place.families is None:
        left = [start for start in scope.starts if place.cycle is None or start > place.cycle]
        if left:
            found = await verifying.verify_cycle(tx, scope, left[0], _MOST)
            return _with(place, found, cycle=left[0])
    if place.families is None:
        first = place.contact or verifying.FIRST_CONTACT
        found, going_on = await verifying.verify_contacts(tx, scope, first, _CONTACTS_AT_ONCE, _MOST)
        return _with(place, found, contact=going_on or place.contact, families=0 if going_on is None else None)
    found, done = await verifying.verify_families(tx, scope, place.families, _MERGED_AT_ONCE)
    place = _with(place, found, families=done)
    if done is not None:
        return place
    if place.found:
        log.warning(
            "The counts of a workspace differ from its messages: see sluice mac verify.",
            action="counts_differ",
            workspace_id=workspace_id,
            differences=place.found,
        )
    examples = msgspec.json.encode(place.examples).decode()
    await stored.save_result(tx, workspace_id, now, place.found, scope.not_final, examples)
    return Place(workspace_id=workspace_id)


def _with(place: Place, found: Sequence[Difference], **reached: object) -> Place:
    examples = [*place.examples, *found][:_EXAMPLES]
    return replace(place, found=place.found + len(found), examples=examples, **reached)


JOBS: Final = (Job("verify counts", 30, verify),)
