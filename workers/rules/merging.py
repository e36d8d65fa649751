"""Which values a contact has after a merge, and after it is undone (contract 2, merge_contacts, undo_merge).

The survivor keeps what it has. What it lacks comes from the loser, and what somebody chose as well. An undo gives back
what nobody wrote since.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

from msgspec import Struct, structs

from schemas import limits
from schemas.changes import CUSTOM
from schemas.fields import FieldValue
from workers.rules import conversations, custom_fields
from workers.rules.blocks import Interval
from workers.rules.conversations import Conversation
from workers.rules.details import ASSIGNEE, Details
from workers.rules.last_write_wins import LastWrite, WriteStamp
from workers.rules.results import Refused
from workers.rules.tags import ABSENT

Choice = Literal["survivor", "loser"]
Tags = Mapping[str, LastWrite[bool]]

OWN: Final = ("first_name", "last_name", "country", "language", "email", "phone")
"""Fields that people may write over what the channel says."""
SAID: Final = ("display_name", *OWN, "avatar_url")
_WRONG_CHOICE: Final = Refused(
    "invalid", f"`choices`: expected {', '.join(SAID)}, {ASSIGNEE} or custom.NAME, and got another name"
)
_TOO_LARGE: Final = Refused(
    "invalid", f"`loser_id`: together they have more than {limits.CUSTOM_BYTES:,} bytes of custom fields, as JSON"
)
_TOO_MANY_TAGS: Final = Refused(
    "invalid", f"`loser_id`: together they have more than the {limits.TAGS_PER_CONTACT} tags of one contact"
)
SAME: Final = Refused("same_contact", "`survivor_id` and `loser_id`: both are one contact now")
BLOCKED: Final = Refused("contact_blocked", "one of them is blocked: give `unblock_contact` first")
UNKNOWN_MERGE: Final = Refused("not_found", "`merge_id`: this workspace has no merge with this id")
UNDONE: Final = Refused("already_final", "`merge_id`: this merge is undone already")
MERGED_AGAIN: Final = Refused("already_final", "`merge_id`: one of them was merged again or deleted since")


class Side(Struct, frozen=True, gc=False):
    """What a contact has. `said` is what the channel says, by column."""

    said: Mapping[str, str | None]
    details: Details
    profile: LastWrite[str | None]
    conversation: Conversation

    def shown(self, key: str) -> FieldValue:
        """The value of a field that a contact shows."""
        if key == ASSIGNEE:
            return self.details.assignee
        if key.startswith(CUSTOM):
            return self.details.custom.get(key.removeprefix(CUSTOM))
        return self.details.edited.get(key) or self.said[key]


def too_late(merged_at: datetime, undone_at: datetime, hours: int) -> Refused | None:
    """Why a merge cannot be undone any more; None: it can."""
    if undone_at <= merged_at + timedelta(hours=hours):
        return None
    return Refused("too_late", f"`issued_at`: a merge can be undone for {hours} hours (`merge_undo_hours`)")


def merged(survivor: Side, loser: Side, choices: Mapping[str, Choice], stamp: WriteStamp) -> Side | Refused:
    """The survivor's values after the merge; the conversation stays as it is."""
    if any(key not in SAID and key != ASSIGNEE and not key.startswith(CUSTOM) for key in choices):
        return _WRONG_CHOICE
    said = dict(survivor.said)
    values = _Values(survivor.details)
    for key, chosen in _taken(survivor, loser, choices):
        theirs = loser.shown(key)
        if key in SAID and (key not in OWN or (not chosen and key not in loser.details.edited)):
            said[key] = theirs  # type: ignore[assignment]  # own fields are texts
            continue
        if key in OWN and theirs is None:
            said[key] = None
        values.put(key, theirs, stamp if chosen else loser.details.written.get(key, stamp))
    details = values.details()
    if custom_fields.too_large(details.custom):
        return _TOO_LARGE
    return structs.replace(survivor, said=said, details=details, profile=_profile(survivor.profile, loser.profile))


def _taken(survivor: Side, loser: Side, choices: Mapping[str, Choice]) -> Iterator[tuple[str, bool]]:
    """The fields that come from the loser, and whether somebody chose so."""
    custom = {*survivor.details.custom, *loser.details.custom}
    for key in (*SAID, ASSIGNEE, *(CUSTOM + name for name in sorted(custom))):
        choice, mine, theirs = choices.get(key), survivor.shown(key), loser.shown(key)
        if mine != theirs and (choice == "loser" or (choice is None and mine is None)):
            yield key, choice is not None


def _profile(survivor: LastWrite[str | None], loser: LastWrite[str | None]) -> LastWrite[str | None]:
    if survivor.value is not None or loser.value is None:
        return survivor
    return LastWrite(loser.value, _later(survivor.written, loser.written))


def united(survivor: Tags, loser: Tags) -> dict[str, LastWrite[bool]] | Refused:
    """The tags that the survivor gets."""
    gets = {
        tag: LastWrite(value=True, written=_later(survivor.get(tag, ABSENT).written, theirs.written))
        for tag, theirs in loser.items()
        if theirs.value and not survivor.get(tag, ABSENT).value
    }
    if sum(tag.value for tag in survivor.values()) + len(gets) > limits.TAGS_PER_CONTACT:
        return _TOO_MANY_TAGS
    return gets


def talk(
    survivor: tuple[Conversation, Sequence[Interval]],
    loser: tuple[Conversation, Sequence[Interval]],
    stamp: WriteStamp,
    now: datetime,
) -> Conversation:
    """The conversation after the merge, which is open if either was. Each comes with the blocks of its contact."""
    (own, intervals), (other, _) = survivor, loser
    mine, theirs = conversations.status(*survivor, now), conversations.status(*loser, now)
    if mine == "snoozed" and theirs == "open":
        return structs.replace(own, snoozed=None, snoozed_until=None)
    if mine != "closed" or theirs == "closed":
        return own
    # As if the merge opened it, after everything that closed it.
    ends = [i.end for i in intervals[-1:] if i.end is not None]
    opening = WriteStamp(max([stamp.at, *ends, *([own.moved.at] if own.moved is not None else [])]), stamp.by)
    snoozed = theirs == "snoozed"
    return Conversation(
        opened_at=own.opened_at,
        closed_at=None,
        user_opened_at=opening.at,
        moved=opening,
        snoozed=opening if snoozed else None,
        snoozed_until=other.snoozed_until if snoozed else None,
    )


def undone(present: Side, before: Side, after: Side) -> Side:
    """The survivor's values once the merge is undone that turned `before` into `after`: what is as the merge left it
    becomes as it was before. `opened_at` stays.
    """
    said = {key: before.said[key] if now == after.said[key] else now for key, now in present.said.items()}
    values, then, left = _Values(present.details), _Values(before.details), _Values(after.details)
    for key in then.keys() | left.keys():
        if then.get(key) != left.get(key) and values.get(key) == left.get(key):
            values.restore(key, *then.get(key))
    profile = before.profile if present.profile == after.profile else present.profile
    conversation = present.conversation
    if _moves(conversation) == _moves(after.conversation):
        conversation = structs.replace(before.conversation, opened_at=conversation.opened_at)
    return Side(said, values.details(), profile, conversation)


def _moves(conversation: Conversation) -> Conversation:
    return structs.replace(conversation, opened_at=None)


def _later(one: WriteStamp | None, other: WriteStamp | None) -> WriteStamp | None:
    return max((stamp for stamp in (one, other) if stamp is not None), default=None)


class _Values:
    """The values of `Details` by key: own fields, the assignee, and custom fields as `custom.NAME`."""

    def __init__(self, details: Details) -> None:
        self._values: dict[str, FieldValue] = {
            **details.edited,
            **{CUSTOM + name: value for name, value in details.custom.items()},
        }
        if details.assignee is not None:
            self._values[ASSIGNEE] = details.assignee
        self._written = dict(details.written)

    def keys(self) -> set[str]:
        return self._values.keys() | self._written.keys()

    def get(self, key: str) -> tuple[FieldValue, WriteStamp | None]:
        return self._values.get(key), self._written.get(key)

    def put(self, key: str, value: FieldValue, stamp: WriteStamp) -> None:
        """Writes a value. Its stamp never becomes an earlier one."""
        self.restore(key, value, _later(self._written.get(key), stamp))

    def restore(self, key: str, value: FieldValue, stamp: WriteStamp | None) -> None:
        self._values.pop(key, None)
        self._written.pop(key, None)
        if value is not None:
            self._values[key] = value
        if stamp is not None:
            self._written[key] = stamp

    def details(self) -> Details:
        edited = {key: value for key, value in self._values.items() if key in OWN}
        custom = {key.removeprefix(CUSTOM): value for key, value in self._values.items() if key.startswith(CUSTOM)}
        return Details(edited, custom, self._values.get(ASSIGNEE), self._written)  # type: ignore[arg-type]
