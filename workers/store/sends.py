"""Sends, and what they are judged by."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from workers.rules.channels import Known
from workers.rules.protection import Cover
from workers.runtime.batch import Connection
from workers.store.arrays import columns
from workers.store.contacts import ContactKey, IdentityKey
from workers.store.queries import load

_SQL = load("sends")

SendKey = tuple[str, UUID]
RunKey = tuple[str, str]


class Send(Struct, frozen=True, kw_only=True):
    """A row of `sends`, field by field (the table tells what they mean). `content` is the request's JSON."""

    workspace_id: str
    send_id: UUID
    group_id: str | None
    contact_id: UUID | None
    channel: str
    channel_id: str
    scope: str | None
    lookup: str | None
    address: str | None
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
    attempt: int = 0
    best_attempt: int = 0
    revision: int = 0
    held_at: datetime | None = None
    expires_at: datetime | None = None
    retry_at: datetime | None = None
    recheck_at: datetime | None = None
    message_id: UUID | None = None
    accepted_at: datetime | None = None
    applied_at: datetime
    updated_at: datetime

    @property
    def key(self) -> SendKey:
        return self.workspace_id, self.send_id

    @property
    def cover(self) -> Cover:
        """What was confirmed so far."""
        return Cover(frozenset(self.confirmed_keys), self.confirmed_before)

    @property
    def identity_key(self) -> IdentityKey | None:
        if self.scope is None or self.lookup is None:
            return None
        return IdentityKey(self.workspace_id, self.channel, self.scope, self.lookup)


class Owner(NamedTuple):
    """A stored identity: whose it is, and what is known of it."""

    identity_id: int
    contact_id: UUID
    connected_at: datetime | None
    opted_out: bool


class OnFile(NamedTuple):
    """Number and e-mail address in a contact's fields."""

    phone: str | None
    email: str | None


async def known(tx: Connection, keys: Collection[SendKey]) -> set[SendKey]:
    return {tuple(row) for row in await tx.fetch(_SQL["known"], *columns(sorted(keys), 2))}


async def add(tx: Connection, new: Collection[Send]) -> set[SendKey]:
    """Store new sends; returns those that were not stored by somebody else meanwhile."""
    if not new:
        return set()
    return {tuple(row) for row in await tx.fetch(_SQL["add"], as_json(new))}


async def save(tx: Connection, changed: Collection[Send]) -> None:
    """Write back sends that were read under their lock."""
    if changed:
        await tx.execute(_SQL["save"], as_json(changed))


async def read(tx: Connection, keys: Collection[SendKey]) -> dict[SendKey, Send]:
    """Without a lock: only to learn what to lock."""
    return _sends(await tx.fetch(_SQL["read"], *columns(sorted(keys), 2)))


async def lock(tx: Connection, keys: Collection[SendKey]) -> dict[SendKey, Send]:
    """For update. Whoever judges them holds their contacts' rows first."""
    return _sends(await tx.fetch(_SQL["lock"], *columns(sorted(keys), 2))) if keys else {}


async def of_groups(tx: Connection, groups: Collection[tuple[str, str]]) -> dict[tuple[str, str], list[SendKey]]:
    """All sends of each (workspace_id, group_id), in the order they were asked for."""
    found: defaultdict[tuple[str, str], list[SendKey]] = defaultdict(list)
    if groups:
        for workspace_id, group_id, send_id in await tx.fetch(_SQL["of_groups"], *columns(sorted(groups), 2)):
            found[workspace_id, group_id].append((workspace_id, send_id))
    return dict(found)


async def held_to(tx: Connection, keys: Collection[ContactKey]) -> list[tuple[SendKey, ContactKey]]:
    """Holds to these contacts, or to an address of theirs."""
    rows = await tx.fetch(_SQL["held_to"], *columns(sorted(keys), 2))
    return sorted(((w, send_id), (w, contact_id)) for w, send_id, contact_id in rows)


async def held_by_runs(tx: Connection, runs: Collection[RunKey]) -> set[SendKey]:
    return {tuple(row) for row in await tx.fetch(_SQL["held_by_runs"], *columns(sorted(runs), 2))}


async def lock_expired(tx: Connection, now: datetime, limit: int) -> list[Send]:
    """Holds whose time is over, longest over first; those that somebody is answering right now are left out."""
    return [_send(row) for row in await tx.fetch(_SQL["lock_expired"], now, limit)]


async def due(tx: Connection, now: datetime, limit: int) -> set[SendKey]:
    """Sends to be judged again: the next attempt is due, or a claim was denied."""
    return {tuple(row) for row in await tx.fetch(_SQL["due"], now, limit)}


async def on_file(tx: Connection, keys: Collection[ContactKey]) -> dict[ContactKey, OnFile]:
    """The contacts that exist."""
    rows = await tx.fetch(_SQL["contacts_on_file"], *columns(sorted(keys), 2))
    return {(w, contact_id): OnFile(phone, email) for w, contact_id, phone, email in rows}


async def identities_of(tx: Connection, keys: Collection[ContactKey]) -> dict[ContactKey, list[Known]]:
    found: defaultdict[ContactKey, list[Known]] = defaultdict(list)
    for workspace_id, contact_id, *identity in await tx.fetch(_SQL["identities_of"], *columns(sorted(keys), 2)):
        found[workspace_id, contact_id].append(Known(*identity))
    return dict(found)


async def owners(tx: Connection, keys: Collection[IdentityKey]) -> dict[IdentityKey, Owner]:
    """The identities that exist."""
    ordered = sorted(keys)
    rows = await tx.fetch(_SQL["owners"], *columns(ordered, 4)) if ordered else []
    return {ordered[position - 1]: Owner(*owner) for position, *owner in rows}


async def halted_runs(tx: Connection, runs: Collection[RunKey]) -> set[RunKey]:
    """Those that were halted or refused, or whose engine was told so once; an unknown run is none of them."""
    return {tuple(row) for row in await tx.fetch(_SQL["halted_runs"], *columns(sorted(runs), 2))} if runs else set()


async def raise_run_revisions(tx: Connection, facts: Counter[RunKey]) -> dict[RunKey, int]:
    """Make room for that many facts about each run; returns the revision of the last one. Unknown runs are left out."""
    rows = [(*run, count) for run, count in sorted(facts.items())]
    return {(w, run): revision for w, run, revision in await tx.fetch(_SQL["raise_run_revisions"], *columns(rows, 3))}


async def link_identities(tx: Connection, links: Mapping[IdentityKey, tuple[str, UUID]]) -> None:
    """Give contacts addresses (key -> address, contact_id); one that belongs to somebody stays theirs."""
    rows = [(*key, *link) for key, link in sorted(links.items())]
    await tx.execute(_SQL["link_identities"], *columns(rows, 6))
    contacts = sorted({(key.workspace_id, contact_id) for key, (_, contact_id) in links.items()})
    await tx.execute(_SQL["raise_contact_revisions"], *columns(contacts, 2))


async def move_messages(
    tx: Connection, moved: Iterable[tuple[str, UUID, UUID, datetime, bool, datetime | None]]
) -> None:
    """Of messages of sends: workspace_id, message_id, send_id, event time, counted, start of the covering block."""
    if rows := sorted(moved, key=lambda r: r[:2]):
        await tx.execute(_SQL["move_messages"], *columns(rows, 6))


def as_json(rows: Collection[Struct]) -> str:
    return msgspec.json.encode(list(rows)).decode()


def _sends(rows: Iterable[Mapping[str, Any]]) -> dict[SendKey, Send]:
    return {send.key: send for send in map(_send, rows)}


def _send(row: Mapping[str, Any]) -> Send:
    values = dict(row)
    values["content"] = Raw(values["content"].encode())
    for name in ("reasons", "reason_keys", "confirmed_keys"):
        values[name] = tuple(values[name])
    return Send(**values)
