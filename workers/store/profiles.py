"""Customers: a `Book` of what some commands name is loaded under locks, and saved by what became different in it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from workers.rules.profiles import Book, Company, Key, Profile, name_key
from workers.rules.registers import Flag, Register, Stamp
from workers.runtime.batch import Connection
from workers.store.arrays import columns
from workers.store.commands import require_all
from workers.store.contacts import ContactKey, mark_dirty
from workers.store.queries import load

_SQL = load("profiles")

K = TypeVar("K", bound=tuple[str, Any])
V = TypeVar("V")


@dataclass(slots=True)
class Wanted:
    """What to put into a book. The contacts are locked already; `names` are `name_key`s."""

    statuses: set[Key] = field(default_factory=set)
    companies: set[Key] = field(default_factory=set)
    profiles: set[Key] = field(default_factory=set)
    names: set[Key] = field(default_factory=set)
    contacts: set[ContactKey] = field(default_factory=set)


async def load_book(tx: Connection, wanted: Wanted) -> Book:
    """What exists of `wanted`: until the transaction ends nobody else changes it, or attaches to a wanted name."""
    named = await _named(tx, wanted.names) if wanted.names else {}
    return Book(
        profiles=await _profiles(tx, wanted.profiles) if wanted.profiles else {},
        statuses=await _statuses(tx, wanted.statuses) if wanted.statuses else {},
        companies=await _companies(tx, wanted.companies) if wanted.companies else {},
        named=named,
        memberships=await _memberships(tx, wanted.contacts) if wanted.contacts else {},
    )


async def _named(tx: Connection, names: set[Key]) -> dict[Key, frozenset[str]]:
    # A name has no row to lock before its first profile: two attachments to one new name must not make two profiles.
    await tx.execute(_SQL["lock_names"], *columns(sorted(names), 2))
    found: dict[Key, set[str]] = defaultdict(set)
    for workspace_id, key, profile_id in await tx.fetch(_SQL["named"], *columns(sorted(names), 2)):
        found[workspace_id, key].add(profile_id)
    return {key: frozenset(ids) for key, ids in found.items()}


async def _profiles(tx: Connection, keys: set[Key]) -> dict[Key, Profile]:
    wanted = columns(sorted(keys), 2)
    rows = await tx.fetch(_SQL["lock_profiles"], *wanted)
    belongs: dict[Key, dict[str, datetime]] = defaultdict(dict)
    for workspace_id, profile_id, company_id, since in await tx.fetch(_SQL["profile_companies"], *wanted):
        belongs[workspace_id, profile_id][company_id] = since
    found: dict[Key, Profile] = {}
    for row in rows:
        key = (row["workspace_id"], row["profile_id"])
        found[key] = Profile(
            name=row["name"],
            created_by=row["created_by"],
            created_at=row["created_at"],
            fields=msgspec.json.decode(row["fields"]),
            status=Register(row["status"], _stamp(row["status_at"], row["status_by"])),
            companies=Register(belongs[key], _stamp(row["companies_at"], row["companies_by"])),
        )
    return found


async def _statuses(tx: Connection, keys: set[Key]) -> dict[Key, Flag]:
    rows = await tx.fetch(_SQL["lock_statuses"], *columns(sorted(keys), 2))
    return {(w, name): Flag(on, since, _stamp(at, by)) for w, name, on, since, at, by in rows}


async def _companies(tx: Connection, keys: set[Key]) -> dict[Key, Company]:
    rows = await tx.fetch(_SQL["lock_companies"], *columns(sorted(keys), 2))
    return {
        (r["workspace_id"], r["company_id"]): Company(
            Register(r["name"], _stamp(r["named_at"], r["named_by"])),
            Flag(r["protected"], r["protected_since"], _stamp(r["protected_at"], r["protected_by"])),
        )
        for r in rows
    }


async def _memberships(tx: Connection, contacts: set[ContactKey]) -> dict[ContactKey, Register[str | None]]:
    rows = await tx.fetch(_SQL["memberships"], *columns(sorted(contacts), 2))
    return {(w, contact_id): Register(profile_id, _stamp(at, by)) for w, contact_id, profile_id, at, by in rows}


async def save_book(tx: Connection, before: Book, after: Book) -> None:
    """Store what is different in `after`; contacts whose profile changed are due on contacts.changes.

    Raises:
        RetryBatch: another transaction made one of the new profiles, statuses or companies meanwhile.
    """
    await _save_profiles(tx, before.profiles, _different(before.profiles, after.profiles))
    await _save_companies_of_profiles(tx, before.profiles, _different(before.profiles, after.profiles))
    await _save_flags(tx, before.statuses, _different(before.statuses, after.statuses))
    await _save_companies(tx, before.companies, _different(before.companies, after.companies))
    await _save_memberships(tx, before.memberships, _different(before.memberships, after.memberships))


def _different(before: Mapping[K, V], after: Mapping[K, V]) -> dict[K, V]:
    return {key: value for key, value in sorted(after.items(), key=lambda item: item[0]) if before.get(key) != value}


async def _save_profiles(tx: Connection, before: Mapping[Key, Profile], different: Mapping[Key, Profile]) -> None:
    new = [
        (*key, p.name, name_key(p.name), p.created_by, p.created_at, msgspec.json.encode(p.fields).decode())
        for key, p in different.items()
        if key not in before
    ]
    await _add(tx, "add_profiles", new, 7)
    written = [
        (*key, p.status.value, *_columns(p.status.written), *_columns(p.companies.written))
        for key, p in different.items()
        if p.status.written or p.companies.written
    ]
    if written:
        await tx.execute(_SQL["save_profiles"], *columns(written, 7))


async def _save_companies_of_profiles(
    tx: Connection, before: Mapping[Key, Profile], different: Mapping[Key, Profile]
) -> None:
    left: list[tuple[str, str, str]] = []
    joined: list[tuple[str, str, str, datetime]] = []
    for key, profile in different.items():
        old = before[key].companies.value if key in before else {}
        new = profile.companies.value
        left += [(*key, company_id) for company_id in sorted(old.keys() - new.keys())]
        joined += [(*key, company_id, new[company_id]) for company_id in sorted(new.keys() - old.keys())]
    if left:
        await tx.execute(_SQL["leave_companies"], *columns(left, 3))
    if joined:
        await tx.execute(_SQL["join_companies"], *columns(joined, 4))


async def _save_flags(tx: Connection, before: Mapping[Key, Flag], different: Mapping[Key, Flag]) -> None:
    rows = {key: (*key, flag.on, flag.since, *_columns(flag.written)) for key, flag in different.items()}
    await _add(tx, "add_statuses", [row for key, row in rows.items() if key not in before], 6)
    if changed := [row for key, row in rows.items() if key in before]:
        await tx.execute(_SQL["save_statuses"], *columns(changed, 6))


async def _save_companies(tx: Connection, before: Mapping[Key, Company], different: Mapping[Key, Company]) -> None:
    rows = {key: (*key, *_company_columns(company)) for key, company in different.items()}
    await _add(tx, "add_companies", [row for key, row in rows.items() if key not in before], 9)
    if changed := [row for key, row in rows.items() if key in before]:
        await tx.execute(_SQL["save_companies"], *columns(changed, 9))


async def _save_memberships(
    tx: Connection,
    before: Mapping[ContactKey, Register[str | None]],
    different: Mapping[ContactKey, Register[str | None]],
) -> None:
    if not different:
        return
    rows = [(*key, register.value, *_columns(register.written)) for key, register in different.items()]
    await tx.execute(_SQL["save_memberships"], *columns(rows, 5))
    await mark_dirty(tx, (key for key, register in different.items() if register.value != before[key].value))


async def _add(tx: Connection, query: str, rows: list[tuple[Any, ...]], width: int) -> None:
    if rows:
        require_all(await tx.execute(_SQL[query], *columns(rows, width)), len(rows))


def _company_columns(company: Company) -> Iterable[Any]:
    flag = company.protection
    return company.name.value, *_columns(company.name.written), flag.on, flag.since, *_columns(flag.written)


def _stamp(at: datetime | None, by: UUID | None) -> Stamp | None:
    return Stamp(at, by) if at is not None and by is not None else None


def _columns(stamp: Stamp | None) -> tuple[datetime | None, UUID | None]:
    return (stamp.at, stamp.by) if stamp is not None else (None, None)
