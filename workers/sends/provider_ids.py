"""Which message a send is: the one with the id that its provider gave, unless another has it (contract 2, 3.3)."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from uuid import UUID

from schemas.ids import message_id, message_ids, provider_id_of_send
from workers.store import messages
from workers.store.connection import Connection
from workers.store.messages import Echo, MessageKey
from workers.store.send_attempts import ProviderKey
from workers.store.sends import Addressed, Send, SendKey


@dataclass(slots=True)
class ProviderIds:
    """The ids of one poll of receipts: the send that has each, the ids of the messages that they name, and which of
    these are stored. `unnamed`: sends whose message has no provider's id yet.

    `generation`: for new messages. `conflicts`: how often another send or message had the id already.
    """

    holders: dict[ProviderKey, SendKey]
    unnamed: set[SendKey] = field(default_factory=set)
    names: dict[ProviderKey, UUID] = field(default_factory=dict)
    stored: set[UUID] = field(default_factory=set)
    echoes: dict[UUID, Echo] = field(default_factory=dict)
    generation: int = -1
    conflicts: Counter[MessageKey] = field(default_factory=Counter)

    def give(self, key: ProviderKey, send: SendKey) -> bool:
        """Gives the id to a send. False: another send has it."""
        if self.holders.setdefault(key, send) == send:
            return True
        self.conflicts[key[0], named(*key)] += 1
        return False

    def message_of(
        self, send: Send, provider_id: str, identity_id: int | None, *, is_news: bool
    ) -> tuple[UUID, Echo | None]:
        """The id of an accepted send's message, and the echo that is this message. An id of another message leaves the
        send without one, which is a conflict if it `is_news`.
        """
        id_ = self.names[send.workspace_id, send.channel_id, provider_id]
        echo = self.echoes.get(id_)
        if id_ not in self.stored or (echo is not None and echo.identity_id == identity_id):
            return id_, echo
        self.conflicts[send.workspace_id, id_] += is_news
        return unnamed(send), None

    async def look_up(self, tx: Connection, wanted: Iterable[ProviderKey]) -> None:
        """Reads what is stored under these ids. No other generation is opened before the transaction ends."""
        keys = list(wanted)
        ids = message_ids((workspace_id, channel_id, "out", given) for workspace_id, channel_id, given in keys)
        self.names.update(zip(keys, ids, strict=True))
        found = await messages.look_up(tx, ids)
        self.generation = found.generation
        if found.digests:
            self.stored |= found.digests.keys()
            self.echoes.update(await messages.echoes(tx, found.digests.keys()))


def named(workspace_id: str, channel_id: str, provider_id: str) -> UUID:
    return message_id(workspace_id, channel_id, "out", provider_id)


def unnamed(send: Send) -> UUID:
    """The id of a message that has no provider id yet."""
    return named(send.workspace_id, send.channel_id, provider_id_of_send(send.send_id))


def unnamed_ids(keys: Iterable[tuple[str, str, UUID]]) -> list[UUID]:
    """As `unnamed`, for many sends at once: workspace, channel_id and send_id."""
    return message_ids(
        (workspace_id, channel_id, "out", provider_id_of_send(id_)) for workspace_id, channel_id, id_ in keys
    )


def is_unnamed(send: Send) -> bool:
    return send.accepted_at is None or send.message_id == unnamed(send)


def unnamed_among(seen: Collection[Addressed]) -> set[SendKey]:
    """The sends whose message has no provider's id yet."""
    accepted = [send for send in seen if send.accepted_at is not None]
    ids = unnamed_ids((send.workspace_id, send.channel_id, send.send_id) for send in accepted)
    with_id = {send.key for send, id_ in zip(accepted, ids, strict=True) if send.message_id != id_}
    return {send.key for send in seen} - with_id
