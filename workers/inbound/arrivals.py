"""What came in one poll, before anything is known of its senders."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from msgspec import Struct

from schemas.fields import Direction
from schemas.ids import content_digest, message_id
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
    key: MessageKey
    message_id: UUID
    direction: Direction
    digest: int
    event_time: datetime
    identity: Identity
    identity_key: IdentityKey


def understand(record: Record[InboundMessage], workspace: Workspace) -> Arrival:
    message = record.value
    direction: Direction = "out" if message.kind == "echo" else "in"
    region = workspace.region(message.channel_id)
    identity, identity_key = _identity(
        message.workspace_id, message.channel, message.channel_id, message.sender.address, region
    )
    id_ = message_id(message.workspace_id, message.channel_id, direction, message.provider_message_id)
    at = event_time(message.sent_at, message.received_at, record.timestamp)
    key = message.workspace_id, id_
    return Arrival(record, key, id_, direction, content_digest(message), at, identity, identity_key)


@lru_cache(maxsize=65_536)
def _identity(
    workspace_id: str, channel: str, channel_id: str, address: str, region: str | None
) -> tuple[Identity, IdentityKey]:
    identity = identify(channel, channel_id, address, region)
    return identity, key_of(workspace_id, identity)


def without_repeats(
    arrivals: Iterable[Arrival], stored: Mapping[MessageKey, int]
) -> tuple[Sequence[Arrival], Counter[MessageKey]]:
    """The messages that are new, and how often each id came again with another content than the first."""
    # By number: the ids of two workspaces differ as well, and a UUID takes long to hash.
    known = {id_.int: digest for (_, id_), digest in stored.items()}
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
