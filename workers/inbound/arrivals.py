"""What came in one poll, before anything is known of its senders."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from msgspec import Struct

from schemas.fields import Direction
from schemas.ids import content_digest, message_ids
from schemas.inbound import InboundMessage
from workers.rules.event_time import event_time
from workers.rules.identities import Identity, identify
from workers.runtime.batch import Record
from workers.store.contacts import IdentityKey, key_of
from workers.store.messages import MessageKey
from workers.store.workspaces import Workspace


class Arrival(Struct, frozen=True, gc=False):
    """One message and what can be said of it without looking at anything stored but settings."""

    record: Record[InboundMessage]
    message_id: UUID
    direction: Direction
    digest: int
    event_time: datetime
    identity_key: IdentityKey

    @property
    def key(self) -> MessageKey:
        return self.record.value.workspace_id, self.message_id


def understand(records: Sequence[Record[InboundMessage]], workspaces: Mapping[str, Workspace]) -> Sequence[Arrival]:
    """An arrival for each record."""
    directions: list[Direction] = ["out" if record.value.kind == "echo" else "in" for record in records]
    ids = message_ids(
        (m.workspace_id, m.channel_id, direction, m.provider_message_id)
        for m, direction in zip((record.value for record in records), directions, strict=True)
    )
    return [
        _arrival(record, id_, direction, workspaces[record.value.workspace_id])
        for record, id_, direction in zip(records, ids, directions, strict=True)
    ]


def _arrival(record: Record[InboundMessage], id_: UUID, direction: Direction, workspace: Workspace) -> Arrival:
    message = record.value
    region = workspace.region(message.channel_id)
    identity_key = _identity_key(
        message.workspace_id, message.channel, message.channel_id, message.sender.address, region
    )
    at = event_time(message.sent_at, message.received_at, record.timestamp)
    return Arrival(record, id_, direction, content_digest(message), at, identity_key)


def identity_of(message: InboundMessage, workspace: Workspace) -> Identity:
    """The identity of a sender, understood from the address."""
    return identify(message.channel, message.channel_id, message.sender.address, workspace.region(message.channel_id))


@lru_cache(maxsize=65_536)
def _identity_key(workspace_id: str, channel: str, channel_id: str, address: str, region: str | None) -> IdentityKey:
    return key_of(workspace_id, identify(channel, channel_id, address, region))


def without_repeats(
    arrivals: Iterable[Arrival], stored: Mapping[UUID, int]
) -> tuple[Sequence[Arrival], Counter[MessageKey]]:
    """The messages that are new, and how often each id came again with another content than the first."""
    # By number, because a UUID takes long to hash.
    known = {id_.int: digest for id_, digest in stored.items()}
    new: list[Arrival] = []
    conflicts: Counter[MessageKey] = Counter()
    for arrival in arrivals:
        number = arrival.message_id.int
        if number not in known:
            known[number] = arrival.digest
            new.append(arrival)
        elif known[number] != arrival.digest:
            conflicts[arrival.key] += 1
    return new, conflicts
