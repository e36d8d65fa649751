"""Dead letters and parked receipts that may name deleted contacts: the search for their addresses, and its place."""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from workers.store.arrays import columns
from workers.store.connection import Connection
from workers.store.deletions import Deletion
from workers.store.queries import load

_SQL: Final = load("deletions")

ReceiptPlace = tuple[str, int, int]
"""Topic, partition and offset of a parked receipt."""

LETTERS_AT_ONCE: Final = 500
_LETTER_BYTES: Final = 8 * 1024 * 1024


class Letter(NamedTuple):
    """A dead letter with its content."""

    id: int
    key: bytes | None
    value: bytes


async def begin_letters(tx: Connection, deletion: Deletion) -> None:
    """Notes which dead letters are to be searched."""
    await tx.execute(_SQL["begin_letters"], *deletion.key)


async def letters(tx: Connection, deletion: Deletion) -> list[Letter]:
    """The next dead letters to search, oldest first, with at most 8 MiB of content, but at least one."""
    rows = await tx.fetch(
        _SQL["letters"], deletion.letters_read, deletion.letters_until, LETTERS_AT_ONCE, _LETTER_BYTES
    )
    return [Letter(*row) for row in rows]


async def letters_naming(tx: Connection, workspace_id: str, said: Sequence[tuple[int, str]]) -> list[int]:
    """Those of these letters, given with texts in them, that name an address of a contact that is being erased."""
    rows = await tx.fetch(_SQL["letters_naming"], workspace_id, *columns(said, 2)) if said else ()
    return [letter for (letter,) in rows]


async def erase_letters(tx: Connection, ids: Collection[int]) -> None:
    """Erases the content of dead letters; the rows stay."""
    if ids:
        await tx.execute(_SQL["erase_letters"], sorted(ids))


async def letters_done(tx: Connection, deletion: Deletion, until: int) -> None:
    """Notes that dead letters are searched up to this id."""
    await tx.execute(_SQL["letters_done"], *deletion.key, until)


async def receipts(
    tx: Connection, workspace_id: str, after: ReceiptPlace, limit: int
) -> list[tuple[ReceiptPlace, bytes]]:
    """Parked receipts of a workspace after this place, in their order, with their values."""
    rows = await tx.fetch(_SQL["receipts"], workspace_id, *after, limit)
    return [((topic, partition, offset), value) for topic, partition, offset, value in rows]


async def erase_receipts(tx: Connection, workspace_id: str, places: Collection[ReceiptPlace]) -> None:
    """Deletes these parked receipts."""
    if places:
        await tx.execute(_SQL["erase_receipts"], workspace_id, *columns(sorted(places), 3))
