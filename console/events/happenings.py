"""What a record of a result topic tells: ids and states, never a text or an address. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Struct

from schemas.fields import Moment

DEAD_LETTERS: Final = "dead.letters"
KINDS: Final = ("holds", "results", "blocks", "cycles", "messages", "letters")
_OF_HOLDS: Final = frozenset({"held", "released", "rejected", "expired", "refused", "cancelled"})
_OF_BLOCKS: Final = frozenset({"block_contact", "unblock_contact", "merge_contacts", "undo_merge", "delete_contacts"})
_ENCODER: Final = msgspec.json.Encoder()


class Happening(NamedTuple):
    """An event. `workspace_id` is None for what concerns operators alone; `data` is JSON."""

    workspace_id: str | None
    kind: str
    data: bytes

    @property
    def text(self) -> bytes:
        """The event as it is sent."""
        return b"event: %b\ndata: %b\n\n" % (self.kind.encode(), self.data)


class _Status(Struct, frozen=True, gc=False):
    workspace_id: str
    send_id: UUID
    contact_id: UUID | None
    status: str
    reason: str | None
    reasons: list[str] | None


class _Result(Struct, frozen=True, gc=False):
    workspace_id: str
    command_id: UUID
    command: str
    outcome: str
    reason: str | None


class _Cycle(Struct, frozen=True, gc=False):
    workspace_id: str
    cycle_start: Moment
    active_contacts: int
    status: str


class _Accepted(Struct, frozen=True, gc=False):
    workspace_id: str
    message_id: UUID
    contact_id: UUID
    direction: str
    to: str = "accepted"


class _Dropped(Struct, frozen=True, gc=False):
    workspace_id: str
    message_id: UUID
    contact_id: UUID
    reason: str
    to: str = "dropped"


class _Revised(Struct, frozen=True, gc=False):
    workspace_id: str
    message_id: UUID
    contact_id: UUID
    reason: str
    to: str


_STRUCTS: Final[dict[str, type[Any]]] = {
    "sends.status": _Status,
    "commands.results": _Result,
    "billing.mac": _Cycle,
    "messages.accepted": _Accepted,
    "messages.dropped": _Dropped,
    "messages.revised": _Revised,
}
_DECODERS: Final = {topic: msgspec.json.Decoder(struct) for topic, struct in _STRUCTS.items()}
TOPICS: Final = (*_STRUCTS, DEAD_LETTERS)
"""The topics that are read, without prefix."""


def happenings(topic: str, value: bytes | None, headers: Mapping[str, bytes | None]) -> Iterator[Happening]:
    """The events of a record. A record that nobody understands tells nothing."""
    if topic == DEAD_LETTERS:
        error = headers.get("error") or b""
        yield Happening(None, "letters", _ENCODER.encode({"error": error.decode(errors="replace")}))
        return
    if value is None:
        return
    try:
        told = _DECODERS[topic].decode(value)
    except (msgspec.MsgspecError, ValueError):
        return
    for kind in _kinds(told):
        yield Happening(told.workspace_id, kind, _ENCODER.encode(told))


def _kinds(told: Any) -> Iterator[str]:
    if isinstance(told, _Status):
        yield "holds" if told.status in _OF_HOLDS else "messages"
    elif isinstance(told, _Result):
        yield "results"
        if told.command in _OF_BLOCKS and told.outcome == "done":
            yield "blocks"
    else:
        yield "cycles" if isinstance(told, _Cycle) else "messages"
