"""What the commands about customers read and write: profiles with their notes, statuses, companies, attachments.

The rules decide one command after the other on a `ProfileBook` and write each decision into it, so that the next
command sees it. The book was loaded under locks and is saved as a whole.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from schemas.fields import FieldValue
from workers.rules.contact import ContactKey
from workers.rules.last_write_wins import Flag, LastWrite, WriteStamp

Key = tuple[str, str]
"""(workspace_id, and the name or id of the thing within it)."""
NoteKey = tuple[str, str, str]
"""(workspace_id, profile_id, note_id)."""


@dataclass(frozen=True, slots=True)
class Company:
    name: LastWrite[str]
    protection: Flag = field(default_factory=Flag)


@dataclass(frozen=True, slots=True)
class Profile:
    """`fields` has every custom field that was ever written, None: cleared. `companies` maps each company_id to the
    time from which the profile has belonged to it.

    A deleted profile keeps its id and nothing that says who it was.
    """

    name: LastWrite[str]
    created_by: str
    created_at: datetime
    fields: Mapping[str, LastWrite[FieldValue]] = field(default_factory=dict)
    status: LastWrite[str | None] = field(default_factory=lambda: LastWrite(None))
    companies: LastWrite[Mapping[str, datetime]] = field(default_factory=lambda: LastWrite({}))
    deleted: WriteStamp | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """`edited_by` and `edited_at` tell of the last edit that changed the text. A deleted note keeps its id alone."""

    text: LastWrite[str]
    created_by: str
    created_at: datetime
    edited_by: str | None = None
    edited_at: datetime | None = None
    deleted: WriteStamp | None = None


@dataclass(slots=True)
class ProfileBook:
    """The loaded data, and after deciding the data to save. What is not in it does not exist.

    `named` maps (workspace_id, `name_key`) to the ids of the profiles of that name. `memberships` has every contact
    that the commands are about, with its profile. `contacts` and `note_counts` are how many contacts and notes a
    profile has, for the profiles that may get one more.
    """

    statuses: dict[Key, Flag] = field(default_factory=dict)
    companies: dict[Key, Company] = field(default_factory=dict)
    profiles: dict[Key, Profile] = field(default_factory=dict)
    named: dict[Key, frozenset[str]] = field(default_factory=dict)
    memberships: dict[ContactKey, LastWrite[str | None]] = field(default_factory=dict)
    contacts: dict[Key, int] = field(default_factory=dict)
    notes: dict[NoteKey, Note] = field(default_factory=dict)
    note_counts: dict[Key, int] = field(default_factory=dict)
    _members: dict[Key, set[ContactKey]] = field(init=False, default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        for contact, membership in self.memberships.items():
            if membership.value is not None:
                self._members.setdefault((contact[0], membership.value), set()).add(contact)

    def copy(self) -> "ProfileBook":
        """A copy with the same content."""
        return ProfileBook(
            dict(self.statuses),
            dict(self.companies),
            dict(self.profiles),
            dict(self.named),
            dict(self.memberships),
            dict(self.contacts),
            dict(self.notes),
            dict(self.note_counts),
        )

    def profile(self, key: Key) -> Profile | None:
        """The profile, unless there is none or it is deleted."""
        found = self.profiles.get(key)
        return None if found is None or found.deleted is not None else found

    def put(self, key: Key, profile: Profile) -> None:
        """Stores a profile that is new or changed, under its name."""
        before = self.profile(key)
        if before is not None:
            old = (key[0], name_key(before.name.value))
            self.named[old] = self.named.get(old, frozenset()) - {key[1]}
        self.profiles[key] = profile
        if profile.deleted is None:
            new = (key[0], name_key(profile.name.value))
            self.named[new] = self.named.get(new, frozenset()) | {key[1]}

    def members(self, key: Key) -> list[ContactKey]:
        """The contacts among `memberships` that belong to a profile."""
        return sorted(self._members.get(key, ()))

    def join(self, contact: ContactKey, membership: LastWrite[str | None]) -> None:
        """Stores the profile of a contact, which leaves the one it had."""
        before = self.memberships[contact].value
        self.memberships[contact] = membership
        if before == membership.value:
            return
        if before is not None:
            left = (contact[0], before)
            self._members[left].discard(contact)
            self.contacts[left] = self.contacts.get(left, 0) - 1
        if membership.value is not None:
            joined = (contact[0], membership.value)
            self._members.setdefault(joined, set()).add(contact)
            self.contacts[joined] = self.contacts.get(joined, 0) + 1


def name_key(name: str) -> str:
    """The key for comparing names: trimmed, NFC, case-folded. Folding can undo NFC, hence twice."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name.strip()).casefold())
