"""Customers: loads a `ProfileBook` with what commands name, under locks, and saves the differences."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from schemas.fields import FieldValue
from workers.errors import RetryBatch
from workers.process.tasks import paced
from workers.rules.contact import ContactKey
from workers.rules.last_write_wins import Flag, LastWrite, WriteStamp
from workers.rules.profile_book import Company, Key, NoteKey, Profile, ProfileBook, name_key
from workers.store import profile_notes
from workers.store.arrays import columns
from workers.store.commands import require_all
from workers.store.connection import Connection
from workers.store.contacts import mark_unpublished
from workers.store.queries import load
from workers.store.write_stamps import columns_of, stamp_of

_SQL = load("profiles")
_AT_A_TIME = 5_000  # rows of one statement

_STAMPS = msgspec.json.Decoder(dict[str, WriteStamp])

K = TypeVar("K", bound=tuple[Any, ...])
V = TypeVar("V")


@dataclass(slots=True)
class ProfileBookKeys:
    """What to load into a book. The contacts are locked already; `names` are `name_key`s.

    `joined` are profiles that a contact may join, `noted` those that may get a note. `ended` are profiles that may be
    deleted: all of their contacts are among `contacts`.
    """

    statuses: set[Key] = field(default_factory=set)
    companies: set[Key] = field(default_factory=set)
    profiles: set[Key] = field(default_factory=set)
    names: set[Key] = field(default_factory=set)
    contacts: set[ContactKey] = field(default_factory=set)
    joined: set[Key] = field(default_factory=set)
    noted: set[Key] = field(default_factory=set)
    notes: set[NoteKey] = field(default_factory=set)
    ended: set[Key] = field(default_factory=set)


async def members(tx: Connection, profiles: Iterable[Key]) -> set[ContactKey]:
    """The contacts of profiles. Without a lock: others may join meanwhile."""
    if not (ordered := sorted(profiles)):
        return set()
    return {
        (workspace_id, contact_id)
        for workspace_id, contact_id, _ in await tx.fetch(_SQL["members"], *columns(ordered, 2))
    }


async def load_book(tx: Connection, wanted: ProfileBookKeys) -> ProfileBook:
    """The existing parts of `wanted`. Until the transaction ends no other transaction changes them, attaches to a
    wanted name, or to a profile that may be deleted.

    Raises:
        RetryBatch: a contact joined one of the profiles that may be deleted, before they were locked.
    """
    named = await _named(tx, wanted.names) if wanted.names else {}
    by_name = {(workspace_id, profile_id) for (workspace_id, _), ids in named.items() for profile_id in ids}
    profiles = await _profiles(tx, wanted.profiles | by_name) if wanted.profiles or by_name else {}
    if not await members(tx, wanted.ended) <= wanted.contacts:
        raise RetryBatch("a contact joined a profile that is being deleted")
    joined = (wanted.joined | by_name) & profiles.keys()
    return ProfileBook(
        profiles=profiles,
        statuses=await _statuses(tx, wanted.statuses) if wanted.statuses else {},
        companies=await _companies(tx, wanted.companies) if wanted.companies else {},
        named=_still_named(named, profiles),
        memberships=await _memberships(tx, wanted.contacts) if wanted.contacts else {},
        contacts=await _sizes(tx, joined) if joined else {},
        notes=await profile_notes.read(tx, wanted.notes),
        note_counts=await profile_notes.count(tx, wanted.noted & profiles.keys()),
    )


async def _named(tx: Connection, names: set[Key]) -> dict[Key, set[str]]:
    # A new name has no row to lock: two attachments to one new name must not create two profiles.
    await tx.execute(_SQL["lock_names"], *columns(sorted(names), 2))
    found: dict[Key, set[str]] = defaultdict(set)
    for workspace_id, key, profile_id in await tx.fetch(_SQL["named"], *columns(sorted(names), 2)):
        found[workspace_id, key].add(profile_id)
    return found


def _still_named(named: Mapping[Key, set[str]], profiles: Mapping[Key, Profile]) -> dict[Key, frozenset[str]]:
    """Without those that were renamed or deleted before they were locked."""
    return {
        (workspace_id, key): frozenset(
            profile_id
            for profile_id in ids
            if (profile := profiles[workspace_id, profile_id]).deleted is None and name_key(profile.name.value) == key
        )
        for (workspace_id, key), ids in named.items()
    }


async def _sizes(tx: Connection, profiles: set[Key]) -> dict[Key, int]:
    rows = await tx.fetch(_SQL["sizes"], *columns(sorted(profiles), 2))
    return {(workspace_id, profile_id): number for workspace_id, profile_id, number in rows}


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
            name=LastWrite(row["name"], stamp_of(row["named_at"], row["named_by"])),
            created_by=row["created_by"],
            created_at=row["created_at"],
            fields=_fields(row["fields"], row["written"]),
            status=LastWrite(row["status"], stamp_of(row["status_at"], row["status_by"])),
            companies=LastWrite(belongs[key], stamp_of(row["companies_at"], row["companies_by"])),
            deleted=stamp_of(row["deleted_at"], row["deleted_by"]),
        )
    return found


def _fields(values: str, written: str) -> dict[str, LastWrite[FieldValue]]:
    stamps = _STAMPS.decode(written)
    given: dict[str, FieldValue] = msgspec.json.decode(values)
    return {name: LastWrite(given.get(name), stamps.get(name)) for name in sorted(given.keys() | stamps.keys())}


async def _statuses(tx: Connection, keys: set[Key]) -> dict[Key, Flag]:
    rows = await tx.fetch(_SQL["lock_statuses"], *columns(sorted(keys), 2))
    return {(w, name): Flag(on, since, stamp_of(at, by)) for w, name, on, since, at, by in rows}


async def _companies(tx: Connection, keys: set[Key]) -> dict[Key, Company]:
    rows = await tx.fetch(_SQL["lock_companies"], *columns(sorted(keys), 2))
    return {
        (r["workspace_id"], r["company_id"]): Company(
            LastWrite(r["name"], stamp_of(r["named_at"], r["named_by"])),
            Flag(r["protected"], r["protected_since"], stamp_of(r["protected_at"], r["protected_by"])),
        )
        for r in rows
    }


async def _memberships(tx: Connection, contacts: set[ContactKey]) -> dict[ContactKey, LastWrite[str | None]]:
    rows = await tx.fetch(_SQL["memberships"], *columns(sorted(contacts), 2))
    return {(w, contact_id): LastWrite(profile_id, stamp_of(at, by)) for w, contact_id, profile_id, at, by in rows}


async def save_book(tx: Connection, before: ProfileBook, after: ProfileBook) -> None:
    """Stores the differences in `after`. Marks contacts whose profile changed for contacts.changes.

    Raises:
        RetryBatch: another transaction created one of the new profiles, statuses or companies meanwhile.
    """
    profiles = _different(before.profiles, after.profiles)
    await _save_profiles(tx, before.profiles, profiles)
    await _save_companies_of_profiles(tx, before.profiles, profiles)
    await profile_notes.save(tx, _different(before.notes, after.notes))
    await profile_notes.erase(tx, (key for key, profile in profiles.items() if profile.deleted))
    await _save_flags(tx, before.statuses, _different(before.statuses, after.statuses))
    await _save_companies(tx, before.companies, _different(before.companies, after.companies))
    await save_memberships(tx, before.memberships, _different(before.memberships, after.memberships))


def _different(before: Mapping[K, V], after: Mapping[K, V]) -> dict[K, V]:
    return {key: value for key, value in sorted(after.items(), key=lambda item: item[0]) if before.get(key) != value}


async def _save_profiles(tx: Connection, before: Mapping[Key, Profile], different: Mapping[Key, Profile]) -> None:
    rows = {key: _profile_columns(key, profile) async for key, profile in paced(different.items())}
    new = [
        (*row, different[key].created_by, different[key].created_at) for key, row in rows.items() if key not in before
    ]
    await _add(tx, "add_profiles", new, 17)
    if changed := [row for key, row in rows.items() if key in before]:
        await tx.execute(_SQL["save_profiles"], *columns(changed, 15))


def _profile_columns(key: Key, profile: Profile) -> tuple[Any, ...]:
    fields = {name: field.value for name, field in profile.fields.items() if field.value is not None}
    written = {name: field.written for name, field in profile.fields.items() if field.written is not None}
    return (
        *(*key, profile.name.value, name_key(profile.name.value), *columns_of(profile.name.written)),
        *(msgspec.json.encode(fields).decode(), msgspec.json.encode(written).decode()),
        *(profile.status.value, *columns_of(profile.status.written), *columns_of(profile.companies.written)),
        *columns_of(profile.deleted),
    )


async def _save_companies_of_profiles(
    tx: Connection, before: Mapping[Key, Profile], different: Mapping[Key, Profile]
) -> None:
    left: list[tuple[str, str, str]] = []
    joined: list[tuple[str, str, str, datetime]] = []
    async for key, profile in paced(different.items()):
        old = before[key].companies.value if key in before else {}
        new = profile.companies.value
        left += [(*key, company_id) for company_id in sorted(old.keys() - new.keys())]
        joined += [(*key, company_id, new[company_id]) for company_id in sorted(new.keys() - old.keys())]
    # One profile may name thousands, and a poll thousands of those.
    for start in range(0, len(left), _AT_A_TIME):
        await tx.execute(_SQL["leave_companies"], *columns(left[start : start + _AT_A_TIME], 3))
    for start in range(0, len(joined), _AT_A_TIME):
        await tx.execute(_SQL["join_companies"], *columns(joined[start : start + _AT_A_TIME], 4))


async def _save_flags(tx: Connection, before: Mapping[Key, Flag], different: Mapping[Key, Flag]) -> None:
    rows = {key: (*key, flag.on, flag.since, *columns_of(flag.written)) for key, flag in different.items()}
    await _add(tx, "add_statuses", [row for key, row in rows.items() if key not in before], 6)
    if changed := [row for key, row in rows.items() if key in before]:
        await tx.execute(_SQL["save_statuses"], *columns(changed, 6))


async def _save_companies(tx: Connection, before: Mapping[Key, Company], different: Mapping[Key, Company]) -> None:
    rows = {key: (*key, *_company_columns(company)) for key, company in different.items()}
    await _add(tx, "add_companies", [row for key, row in rows.items() if key not in before], 9)
    if changed := [row for key, row in rows.items() if key in before]:
        await tx.execute(_SQL["save_companies"], *columns(changed, 9))


async def save_memberships(
    tx: Connection,
    before: Mapping[ContactKey, LastWrite[str | None]],
    different: Mapping[ContactKey, LastWrite[str | None]],
) -> None:
    """Saves to which profiles contacts belong, and how many each profile has. Marks those that moved."""
    if not different:
        return
    rows = [(*key, register.value, *columns_of(register.written)) for key, register in different.items()]
    await tx.execute(_SQL["save_memberships"], *columns(rows, 5))
    moved = [key for key, register in different.items() if register.value != before[key].value]
    changes: Counter[Key] = Counter()
    for key in moved:
        workspace_id, _ = key
        for profile_id, change in ((before[key].value, -1), (different[key].value, 1)):
            if profile_id is not None:
                changes[workspace_id, profile_id] += change
    if resized := [(*key, change) for key, change in sorted(changes.items()) if change]:
        await tx.execute(_SQL["resize"], *columns(resized, 3))
    await mark_unpublished(tx, moved)


async def _add(tx: Connection, query: str, rows: list[tuple[Any, ...]], width: int) -> None:
    if rows:
        require_all(await tx.execute(_SQL[query], *columns(rows, width)), len(rows))


def _company_columns(company: Company) -> Iterable[Any]:
    flag = company.protection
    return company.name.value, *columns_of(company.name.written), flag.on, flag.since, *columns_of(flag.written)
