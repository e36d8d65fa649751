"""The compacted topic contacts.changes: the present state of every contact."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from schemas.ids import fact_id
from schemas.outputs import ENCODER, ContactChange, IdentityFact
from workers.records import Event
from workers.rules.contact import ContactKey
from workers.services.compaction_repair import RepairedTopic
from workers.services.publisher import CompactedTopic, Current
from workers.store import contact_index, contacts, inbox
from workers.store.connection import Connection, transaction_time

_TOPIC: Final = "contacts.changes"
_COPIED: Final = (
    *("workspace_id", "contact_id", "display_name", "first_name", "last_name", "country", "language", "email", "phone"),
    *("assignee", "avatar_url", "tags", "blocked", "profile_id", "conversation_status", "revision"),
)


async def load(tx: Connection, limit: int) -> list[Current]:
    """Contacts with unpublished changes. A deleted one is a tombstone."""
    now = await transaction_time(tx)
    current: list[Current] = []
    for row in await contacts.unpublished(tx, limit):
        key = f"{row['workspace_id']}:{row['contact_id']}"
        gone = row["revision"] is None
        event = Event(
            topic=_TOPIC,
            key=key.encode(),
            value=None if gone else ENCODER.encode(_change(row)),
            ce_id=fact_id(_TOPIC, key, _state(row)),
            workspace_id=row["workspace_id"],
            time=now,
        )
        current.append(Current(event, (row["workspace_id"], row["contact_id"], row["marked"])))
    return current


async def clear(tx: Connection, published: Sequence[Current]) -> None:
    """The index of contacts and the inbox are renewed with the marks: what they do not know yet is marked."""
    marks: Any = [current.mark for current in published]
    keys = [(workspace_id, contact_id) for workspace_id, contact_id, _ in marks]
    await contact_index.renew(tx, keys)
    await inbox.renew(tx, keys)
    await contacts.clear_unpublished(tx, marks)


def read(key: bytes) -> ContactKey | None:
    """The contact of a record's key."""
    try:
        workspace_id, _, contact_id = key.decode().rpartition(":")
        return workspace_id, UUID(contact_id)
    except ValueError:
        return None


def _state(row: Mapping[str, Any]) -> str:
    """A contact may be merged away again and again."""
    if row["revision"] is not None:
        return str(row["revision"])
    return "gone" if row["stored_revision"] is None else f"gone {row['stored_revision']}"


CONTACTS: Final = CompactedTopic(_TOPIC, load, clear)
CONTACTS_REPAIR: Final = RepairedTopic(_TOPIC, read, contacts.revisions, contacts.mark_for_repair)


def _change(row: Mapping[str, Any]) -> ContactChange:
    return ContactChange(
        **{name: row[name] for name in _COPIED},
        fields=msgspec.json.decode(row["custom"]),
        identities=msgspec.json.decode(row["identities"] or "[]", type=list[IdentityFact]),
    )
