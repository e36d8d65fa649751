"""Notes on profiles. They are read and changed under the lock of their profile."""

from collections.abc import Collection, Iterable, Mapping

from schemas import limits
from workers.rules.last_write_wins import LastWrite
from workers.rules.profile_book import Key, Note, NoteKey
from workers.store.arrays import columns
from workers.store.connection import Connection
from workers.store.queries import load
from workers.store.write_stamps import columns_of, stamp_of

_SQL = load("profile_notes")


async def read(tx: Connection, keys: Collection[NoteKey]) -> dict[NoteKey, Note]:
    """The notes that exist, deleted ones included."""
    if not keys:
        return {}
    rows = await tx.fetch(_SQL["read"], *columns(sorted(keys), 3))
    return {
        (row["workspace_id"], row["profile_id"], row["note_id"]): Note(
            text=LastWrite(row["text"], stamp_of(row["text_at"], row["text_by"])),
            created_by=row["created_by"],
            created_at=row["created_at"],
            edited_by=row["edited_by"],
            edited_at=row["edited_at"],
            deleted=stamp_of(row["deleted_at"], row["deleted_by"]),
        )
        for row in rows
    }


async def count(tx: Connection, profiles: Collection[Key]) -> dict[Key, int]:
    """How many notes each profile has; of more than it may have, as many as it may have."""
    if not profiles:
        return {}
    rows = await tx.fetch(_SQL["count"], *columns(sorted(profiles), 2), limits.NOTES_PER_PROFILE)
    return {(workspace_id, profile_id): number for workspace_id, profile_id, number in rows}


async def save(tx: Connection, notes: Mapping[NoteKey, Note]) -> None:
    """Stores notes that are new or changed."""
    rows = [
        (
            *(*key, note.text.value, *columns_of(note.text.written), note.created_by, note.created_at),
            *(note.edited_by, note.edited_at, *columns_of(note.deleted)),
        )
        for key, note in sorted(notes.items(), key=lambda item: item[0])
    ]
    if rows:
        await tx.execute(_SQL["save"], *columns(rows, 12))


async def erase(tx: Connection, profiles: Iterable[Key]) -> None:
    """Deletes all notes of deleted profiles."""
    if ordered := sorted(profiles):
        await tx.execute(_SQL["erase"], *columns(ordered, 2))
