"""Merges, undos, removals and deletions in the load of the fault tests. They name contacts by ids of the database.

People come in eights: the first two are merged and parted again, the next two are merged and stay one, and two more
are merged while the others part; one is deleted, and the last one loses the address. Nothing depends on the order of
what is given together.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from uuid import UUID

from asyncpg import Pool

from tests.acceptance.making import Json, Maker, at, identity
from tests.workers.records import uuid_of

GROUP: Final = 8
API: Final[Json] = {"actor": {"id": "olga", "role": "owner", "module": "api"}}
"""Who may delete contacts and remove addresses."""
# Also of those who were merged away.
_IDS: Final = "SELECT phone, contact_id::text FROM sluice_core.contacts WHERE workspace_id = $1 AND phone = ANY ($2)"


async def known(pool: Pool, maker: Maker, addresses: Sequence[str]) -> Mapping[str, str]:
    """The ids of people who are known by their numbers."""
    rows = await pool.fetch(_IDS, maker.id, list(addresses))
    return {row["phone"]: row["contact_id"] for row in rows}


def joined(maker: Maker, addresses: Sequence[str], ids: Mapping[str, str]) -> Iterator[Json]:
    """What comes first: merges."""
    for eight in _groups(addresses):
        for survivor, loser in (eight[0:2], eight[2:4]):
            yield _merge(maker, survivor, loser, ids, 600)


def parted(maker: Maker, addresses: Sequence[str], ids: Mapping[str, str]) -> Iterator[Json]:
    """What comes once that is done, with a message of everybody."""
    for eight in _groups(addresses):
        yield maker.command("undo_merge", merge_id=str(_merge_id(maker, eight[1])), at=at(690))
        yield maker.command("add_tag", contact_id=ids[eight[3]], tag="merged", at=at(690))
        yield _merge(maker, eight[4], eight[5], ids, 690)
        yield maker.command("delete_contacts", contact_ids=[ids[eight[6]]], expected_count=1, at=at(690), **API)
        yield maker.command("remove_channel", contact_id=ids[eight[7]], identity=identity(eight[7]), at=at(690), **API)
    for address in addresses:
        yield maker.message("later", address=address, provider_message_id=f"parted-{address}", at=at(700))


def _groups(addresses: Sequence[str]) -> Iterator[Sequence[str]]:
    return (addresses[n : n + GROUP] for n in range(0, len(addresses), GROUP))


def _merge(maker: Maker, survivor: str, loser: str, ids: Mapping[str, str], minute: float) -> Json:
    both = {"survivor_id": ids[survivor], "loser_id": ids[loser]}
    return maker.command("merge_contacts", command_id=str(_merge_id(maker, loser)), **both, at=at(minute))


def _merge_id(maker: Maker, loser: str) -> UUID:
    return uuid_of(f"merge {maker.id} {loser}")
