"""contacts.changes: every contact as it is now."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from schemas.ids import fact_id
from schemas.outputs import ENCODER, ContactChange, IdentityFact
from workers.runtime.batch import Connection, Fact
from workers.runtime.dirty import Current, DirtyTopic
from workers.runtime.tails import Tail
from workers.store import clock, contacts

_TOPIC: Final = "contacts.changes"
_COPIED: Final = (
    *("workspace_id", "contact_id", "display_name", "first_name", "last_name", "country", "language", "email", "phone"),
    *("assignee", "avatar_url", "tags", "blocked", "profile_id", "conversation_status", "revision"),
)


async def load(tx: Connection, limit: int) -> list[Current]:
    """Contacts that changed; one that is gone is a tombstone."""
    now = await clock.now(tx)
    current: list[Current] = []
    for row in await contacts.dirty(tx, limit):
        key = f"{row['workspace_id']}:{row['contact_id']}"
        gone = row["revision"] is None
        fact = Fact(
            topic=_TOPIC,
            key=key.encode(),
            value=None if gone else ENCODER.encode(_change(row)),
            ce_id=fact_id(_TOPIC, key, "gone" if gone else str(row["revision"])),
            workspace_id=row["workspace_id"],
            time=now,
        )
        current.append(Current(fact, (row["workspace_id"], row["contact_id"], row["marked"])))
    return current


async def clear(tx: Connection, published: Sequence[Current]) -> None:
    await contacts.clear_dirty(tx, [current.mark for current in published])  # type: ignore[misc]


def read(key: bytes) -> contacts.ContactKey | None:
    """The contact that a record's key names."""
    try:
        workspace_id, _, contact_id = key.decode().rpartition(":")
        return workspace_id, UUID(contact_id)
    except ValueError:
        return None


CONTACTS: Final = DirtyTopic(_TOPIC, load, clear)
CONTACTS_TAIL: Final = Tail(_TOPIC, read, contacts.revisions, contacts.mark_for_repair)


def _change(row: Mapping[str, Any]) -> ContactChange:
    return ContactChange(
        **{name: row[name] for name in _COPIED},
        fields=msgspec.json.decode(row["custom"]),
        identities=msgspec.json.decode(row["identities"] or "[]", type=list[IdentityFact]),
    )
