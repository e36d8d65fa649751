"""The messages of one poll before their senders are loaded."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final
from uuid import UUID

from msgspec import Struct

from schemas.fields import Direction
from schemas.ids import content_digest, is_repeat, message_ids, whom
from schemas.inbound import InboundMessage
from workers.records import Record
from workers.rules.event_time import event_time
from workers.rules.identities import ResolvedIdentity, identify
from workers.store.contacts import IdentityKey, key_of
from workers.store.messages import MessageKey
from workers.store.senders import FormerSender, SenderKey
from workers.store.workspaces import Workspace

REMEMBERED: Final = 16_384
"""Addresses that a process remembers, of about a kilobyte each: parsing one may take a hundred times as long."""
_SHORT: Final = 64
"""Characters of channel and address that are remembered: input of others must not fill the memory."""


class Arrival(Struct, frozen=True, gc=False):
    """One message with everything that follows from the record and the settings alone.

    `former`: who had the address at the time of the message, if somebody else has it now, or nobody.
    """

    record: Record[InboundMessage]
    message_id: UUID
    direction: Direction
    digest: int
    event_time: datetime
    identity_key: IdentityKey
    identity: ResolvedIdentity
    former: FormerSender | None = None

    @property
    def sender_key(self) -> SenderKey:
        return self.former or self.identity_key

    @property
    def key(self) -> MessageKey:
        return self.record.value.workspace_id, self.message_id


def arrivals_of(records: Sequence[Record[InboundMessage]], workspaces: Mapping[str, Workspace]) -> Sequence[Arrival]:
    """An arrival for each record. An address that is new to this process may take milliseconds."""
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
    sender = message.sender.address
    short = len(message.channel_id) + len(sender) <= _SHORT and sender.isascii()
    known = _parse if short else _parse.__wrapped__
    identity_key, identity, with_whom = known(message.workspace_id, message.channel, message.channel_id, sender, region)
    at = event_time(message.sent_at, message.received_at, record.timestamp)
    digest = content_digest(message.kind, message.content, with_whom)
    return Arrival(record, id_, direction, digest, at, identity_key, identity)


@lru_cache(maxsize=REMEMBERED)
def _parse(
    workspace_id: str, channel: str, channel_id: str, address: str, region: str | None
) -> tuple[IdentityKey, ResolvedIdentity, bytes]:
    identity = identify(channel, channel_id, address, region)
    key = key_of(workspace_id, identity)
    return key, identity, whom(key)


def without_repeats(
    arrivals: Iterable[Arrival], stored: Mapping[UUID, int]
) -> tuple[Sequence[Arrival], Counter[MessageKey]]:
    """The new messages, and how often each id came again from another sender or with other content."""
    # By number, because hashing a UUID is slow.
    known = {id_.int: digest for id_, digest in stored.items()}
    new: list[Arrival] = []
    conflicts: Counter[MessageKey] = Counter()
    for arrival in arrivals:
        number = arrival.message_id.int
        if number not in known:
            known[number] = arrival.digest
            new.append(arrival)
        elif not is_repeat(known[number], arrival.digest, arrival.record.value.kind, arrival.record.value.content):
            conflicts[arrival.key] += 1
    return new, conflicts
