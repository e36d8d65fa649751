"""Sends, and the rows that they are judged by."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from workers.rules.channels import Known
from workers.rules.contact import ContactKey
from workers.rules.protection import Cover, Ground
from workers.rules.workflows import RunKey
from workers.store.arrays import columns, texts_first
from workers.store.connection import Connection
from workers.store.contacts import IdentityKey, raise_revisions
from workers.store.queries import load

_SQL = load("sends")
_PROTECTIONS = load("protections")

SendKey = tuple[str, UUID]


class Send(Struct, frozen=True, kw_only=True):
    """A row of `sends`, field by field (the table explains them). `content` is the request's JSON."""

    workspace_id: str
    send_id: UUID
    group_id: str | None
    contact_id: UUID | None
    channel: str
    channel_id: str
    scope: str | None
    lookup: str | None
    address: str | None
    understood: bool
    address_hashes: tuple[str, ...] = ()
    content: Raw
    source: str
    run_id: str | None
    step_id: str | None
    requested_by: str
    requested_role: str
    requested_at: datetime
    traceparent: str | None
    status: str
    reason: str | None = None
    reasons: tuple[str, ...] = ()
    reason_keys: tuple[str, ...] = ()
    confirmed_keys: tuple[str, ...] = ()
    confirmed_by: str | None = None
    confirmed_at: datetime | None = None
    confirmed_before: datetime | None = None
    first_dispatched_at: datetime | None = None
    attempt: int = 0
    best_attempt: int = 0
    revision: int = 0
    held_at: datetime | None = None
    expires_at: datetime | None = None
    retry_at: datetime | None = None
    recheck_at: datetime | None = None
    claim_by: datetime | None = None
    message_id: UUID | None = None
    accepted_at: datetime | None = None
    ended_at: datetime | None = None
    applied_at: datetime
    updated_at: datetime

    @property
    def key(self) -> SendKey:
        return self.workspace_id, self.send_id

    @property
    def erased(self) -> bool:
        """Its content is gone, because its contact was deleted or its workspace keeps content no longer than that."""
        return bytes(self.content) == b"{}"

    @property
    def forgotten(self) -> bool:
        """Its contact was deleted, and nothing of the person is left."""
        return self.erased and self.lookup is None

    @property
    def cover(self) -> Cover:
        """What was confirmed so far."""
        return Cover(frozenset(self.confirmed_keys), self.confirmed_before)

    @property
    def identity_key(self) -> IdentityKey | None:
        return _identity_key(self.workspace_id, self.channel, self.scope, self.lookup)


class Addressed(NamedTuple):
    """To whom a send goes, on which channel, and which message it is since when: what must be known before it is
    locked.
    """

    workspace_id: str
    send_id: UUID
    contact_id: UUID | None
    channel: str
    channel_id: str
    scope: str | None
    lookup: str | None
    message_id: UUID | None
    accepted_at: datetime | None

    @property
    def key(self) -> SendKey:
        return self.workspace_id, self.send_id

    @property
    def identity_key(self) -> IdentityKey | None:
        return _identity_key(self.workspace_id, self.channel, self.scope, self.lookup)


class AddressOwner(NamedTuple):
    """A stored identity: its contact, and its state."""

    identity_id: int
    contact_id: UUID
    address: str
    connected_at: datetime | None
    opted_out: bool


class MovedSend(NamedTuple):
    """A stored message of a send with its new values. `recorded_at`: the watermark of the receipt. `cycle_start`,
    `cycle_end`: the cycle of the new event time.
    """

    workspace_id: str
    message_id: UUID
    send_id: UUID
    kind: str
    event_time: datetime
    counted: bool
    block_start: datetime | None
    recorded_at: datetime | None
    cycle_start: datetime
    cycle_end: datetime


class OnFile(NamedTuple):
    """Number and e-mail address in a contact's fields."""

    phone: str | None
    email: str | None


async def known(tx: Connection, keys: Collection[SendKey]) -> set[SendKey]:
    return {tuple(row) for row in await tx.fetch(_SQL["known"], *columns(sorted(keys), 2))}


async def add(tx: Connection, new: Collection[Send]) -> set[SendKey]:
    """Stores new sends. Returns those that no other transaction stored meanwhile."""
    if not new:
        return set()
    return {tuple(row) for row in await tx.fetch(_SQL["add"], as_json(new))}


async def save(tx: Connection, changed: Collection[Send]) -> None:
    """Saves sends that were read under their lock."""
    if changed:
        await tx.execute(_SQL["save"], as_json(changed))


async def addressed(tx: Connection, keys: Collection[SendKey]) -> dict[SendKey, Addressed]:
    """To whom sends go, to find out whom to lock before them."""
    found = map(Addressed._make, await tx.fetch(_SQL["addressed"], *columns(sorted(keys), 2)))
    return {send.key: send for send in found}


async def read(tx: Connection, keys: Collection[SendKey]) -> dict[SendKey, Send]:
    """Sends without a lock: only to find out what to lock."""
    return _sends(await tx.fetch(_SQL["read"], *columns(sorted(keys), 2)))


async def lock(tx: Connection, keys: Collection[SendKey]) -> dict[SendKey, Send]:
    """Locks and reads sends for update. Code that judges them locks their contacts first."""
    return _sends(await tx.fetch(_SQL["lock"], *columns(sorted(keys), 2))) if keys else {}


async def lock_rows(tx: Connection, keys: Collection[SendKey]) -> None:
    """As `lock`, without reading them."""
    if keys:
        await tx.execute(_SQL["lock_rows"], *columns(sorted(keys), 2))


async def lock_expired(tx: Connection, now: datetime, limit: int) -> list[SendKey]:
    """Holds that have expired, oldest expiry first. Leaves out those that are answered, or that another transaction
    answers now.
    """
    return [tuple(row) for row in await tx.fetch(_SQL["lock_expired"], now, limit)]


async def lock_run_out(tx: Connection, now: datetime, limit: int) -> list[SendKey]:
    """Dispatched sends whose time for a claim and a receipt is over, oldest first. Leaves out those that another
    transaction changes now, and those whose claim was denied: they are judged again first.
    """
    return [tuple(row) for row in await tx.fetch(_SQL["lock_run_out"], now, limit)]


async def due(tx: Connection, now: datetime, limit: int, content: int) -> set[SendKey]:
    """Sends to judge again: the next attempt is due, or a claim was denied. At most `limit` of each kind, and of
    limited content, but at least one.
    """
    return {tuple(row) for row in await tx.fetch(_SQL["due"], now, limit, content)}


async def on_file(tx: Connection, keys: Collection[ContactKey]) -> dict[ContactKey, OnFile]:
    """The contacts that exist."""
    rows = await tx.fetch(_SQL["contacts_on_file"], *columns(sorted(keys), 2))
    return {(w, contact_id): OnFile(phone, email) for w, contact_id, phone, email in rows}


async def identities_of(tx: Connection, keys: Collection[ContactKey]) -> dict[ContactKey, list[Known]]:
    found: defaultdict[ContactKey, list[Known]] = defaultdict(list)
    for workspace_id, contact_id, *identity in await tx.fetch(_SQL["identities_of"], *columns(sorted(keys), 2)):
        found[workspace_id, contact_id].append(Known(*identity))
    return dict(found)


async def owners(tx: Connection, keys: Collection[IdentityKey]) -> dict[IdentityKey, AddressOwner]:
    """The identities that exist, with their contacts."""
    ordered = sorted(keys)
    rows = await tx.fetch(_SQL["owners"], *texts_first(ordered, 4, 4)) if ordered else []
    return {ordered[position - 1]: AddressOwner(*owner) for position, *owner in rows}


async def halted_runs(tx: Connection, runs: Collection[RunKey]) -> set[RunKey]:
    """The runs that are halted or refused, or whose engine was once told so. Unknown runs are left out."""
    return {tuple(row) for row in await tx.fetch(_SQL["halted_runs"], *columns(sorted(runs), 2))} if runs else set()


async def lock_run_revisions(tx: Connection, runs: Collection[RunKey]) -> dict[RunKey, int]:
    """The revision of each run, locked until the transaction ends. Unknown runs are left out."""
    rows = await tx.fetch(_SQL["lock_run_revisions"], *columns(sorted(runs), 2))
    return {(w, run): revision for w, run, revision in rows}


async def link_identities(tx: Connection, links: Mapping[IdentityKey, tuple[str, UUID]]) -> None:
    """Gives contacts addresses (key -> address, contact_id). An address that belongs to another contact stays there."""
    rows = [(*key, *link) for key, link in sorted(links.items())]
    await tx.execute(_SQL["link_identities"], *columns(rows, 6))
    await raise_revisions(tx, {(key.workspace_id, contact_id) for key, (_, contact_id) in links.items()})


async def move_messages(tx: Connection, moved: Iterable[MovedSend]) -> None:
    """Gives messages of sends their new values. A message that was an echo becomes the send's."""
    if rows := sorted(moved, key=lambda r: (r.workspace_id, r.message_id)):
        await tx.execute(_SQL["move_messages"], *columns(rows, len(MovedSend._fields)))


async def grounds(tx: Connection, keys: Collection[ContactKey]) -> dict[ContactKey, tuple[Ground, ...]]:
    """What protects each contact now; a profile that cannot be read is a ground of its own. `claim_send` reads the same
    view.
    """
    found: defaultdict[ContactKey, list[Ground]] = defaultdict(list)
    if keys:
        for workspace_id, contact_id, code, key, since in await tx.fetch(
            _PROTECTIONS["grounds"], *columns(sorted(keys), 2)
        ):
            found[workspace_id, contact_id].append(Ground(code, key, since))
    return {key: tuple(grounds) for key, grounds in found.items()}


def as_bytea(value: bytes) -> str:
    """Bytes as PostgreSQL reads them in JSON."""
    return "\\x" + value.hex()


def as_json(rows: Collection[Struct]) -> str:
    return msgspec.json.encode(list(rows)).decode()


def _sends(rows: Iterable[Mapping[str, Any]]) -> dict[SendKey, Send]:
    return {send.key: send for send in map(_send, rows)}


def _send(row: Mapping[str, Any]) -> Send:
    values = dict(row)
    values["content"] = Raw(values["content"].encode())
    values["address_hashes"] = tuple(map(as_bytea, values["address_hashes"] or ()))
    for name in ("reasons", "reason_keys", "confirmed_keys"):
        values[name] = tuple(values[name])
    return Send(**values)


def _identity_key(workspace_id: str, channel: str, scope: str | None, lookup: str | None) -> IdentityKey | None:
    return IdentityKey(workspace_id, channel, scope, lookup) if scope is not None and lookup is not None else None
