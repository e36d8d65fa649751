"""Commands of the histories about contacts, conversations and profiles, and which of them keep their order."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final
from uuid import UUID

from tests.facts import Block, Command, Fact, Message
from tests.reference_times import event_time, issued
from tests.workers.records import uuid_of

PROFILES: Final = ("p1", "p2", "p3")
DELETED: Final = "p3"
"""The only profile that is ever deleted."""
NOTES: Final = ("n1", "n2")
NAMED: Final = "named"
"""A profile that is never renamed or deleted: contacts are attached to it by its name."""
_SPELLINGS: Final = ("Family Ärger", " family a\u0308rger ")

_MOVES: Final = ("open_conversation", "close_conversation")
_SNOOZE: Final = "snooze_conversation"
_MEMBERSHIP: Final = ("attach_contact", "detach_contact", "delete_profile")
_BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)
_NEVER: Final = "2999-01-01T00:00:00+00:00"
_VALUES: Final[Sequence[tuple[str, tuple[Any, ...]]]] = (
    ("first_name", ("Ada", "Bea", None)),
    ("last_name", ("Lovelace", None)),
    ("country", ("fr", "GB", None, "Wakanda")),
    ("language", ("en", None)),
    ("email", ("Ada@example.com", None)),
    ("phone", ("+44 20 7946 0958", None)),
    ("assignee", ("bo", "cy", None)),
    ("custom.seats", (3, 2.5, None, "many")),
    ("custom.plan", ("basic", ["basic", "pro"], None)),
)
_MISFITS: Final = ("Wakanda", "many")
_LISTS: Final = (["red"], ["red", "blue"])


def command(
    name: str, about: str, issued_at: datetime, logged_at: datetime, person: str | None = None, /, **fields: Any
) -> Command:
    """A command with an id made from `about`."""
    return Command(name, person, json.dumps(fields, default=str), issued_at, logged_at, uuid_of(f"{name} {about}"))


def _settled() -> Iterator[Command]:

    def at_first(name: str, about: str, /, **fields: Any) -> Command:
        return command(name, f"first {about}", _BEGIN, _BEGIN, **fields)

    yield at_first("define_field", "seats", scope="contact", name="seats", type="number")
    yield at_first("define_field", "plan", scope="contact", name="plan", type="list", options=["basic", "pro"])
    yield at_first("define_field", "colour", scope="contact", name="colour", type="list", options=["none"])
    yield at_first("define_field", "size", scope="profile", name="size", type="number")
    yield at_first("define_status", "vip", name="vip", protected=False)
    yield at_first("define_status", "lead", name="lead", protected=True)
    for company in ("c1", "c2"):
        yield at_first("define_company", company, company_id=company, name=company)
    for profile in PROFILES:
        yield at_first("create_profile", profile, profile_id=profile, name=profile)
        for note in NOTES:
            yield at_first("add_note", f"{profile} {note}", profile_id=profile, note_id=note, text="first")
    yield at_first("create_profile", NAMED, profile_id=NAMED, name=_SPELLINGS[0])


def chosen_kinds(dice: Random) -> list[str]:
    """The commands of one history: those of a few families, so that they meet."""
    return [kind for family in dice.sample(_FAMILIES, 2) for kind, weight in family.items() for _ in range(weight)]


def edit(dice: Random, kinds: Sequence[str], person: str, at: datetime, number: int) -> Command:
    """One command at about that time; few values, so that many of them meet."""
    issued_at, logged_at = dice.choice(((at, at), (at, at + timedelta(days=3)), (at + timedelta(minutes=10), at)))
    kind = dice.choice(kinds)
    whom = None if kind in _ABOUT_PROFILES else person
    return command(kind, str(number), issued_at, logged_at, whom, **_FIELDS[kind](dice, at))


def created(dice: Random, person: str, at: datetime) -> Command:
    """The creation of a contact, which is not refused."""
    values = {name: value for name, value in _some_values(dice).items() if value not in _MISFITS}
    return command("create_contact", f"first {person}", at, at, person, set=values, tags=["new", "vip"])


def kept_orders(facts: Sequence[Fact]) -> list[list[int]]:
    """Positions of facts that arrive in this order in every delivery, because they are judged when they are applied: a
    closing inside a block is refused, so is a snooze of a closed conversation and an attachment to a deleted profile.
    """
    orders = []
    persons = {f.person for f in facts if isinstance(f, Command) and f.person is not None}
    for person in sorted(persons):
        own = {n: f for n, f in enumerate(facts) if isinstance(f, Message | Block | Command) and f.person == person}
        kinds = {f.command for f in own.values() if isinstance(f, Command)}
        moved = [n for n, f in own.items() if isinstance(f, Command) and f.command in (*_MOVES, _SNOOZE)]
        blocked = [n for n, f in own.items() if isinstance(f, Block)]
        said = [n for n, f in own.items() if isinstance(f, Message) and _SNOOZE in kinds]
        if moved and (blocked or said):
            orders.append(sorted([*moved, *blocked, *said], key=lambda n: _place(facts[n])))
    members = [n for n, f in enumerate(facts) if isinstance(f, Command) and f.command in _MEMBERSHIP]
    if any(_is_deletion(facts[n]) for n in members):
        orders.append(sorted(members, key=lambda n: _place(facts[n])))
    return orders


def _is_deletion(fact: Fact) -> bool:
    return isinstance(fact, Command) and fact.command == "delete_profile"


def _place(fact: Fact) -> tuple[datetime, int, bool, UUID]:
    match fact:
        case Message():
            return event_time(fact), 1, False, UUID(int=0)
        case Block():  # before a message of that instant, which is judged at once then, and not in a later step
            return issued(fact), 0, not fact.unblocks, fact.command_id
        case Command():
            return issued(fact), 2, False, fact.command_id
        case _:
            raise TypeError("expected what happens to a contact")


def _some_values(dice: Random) -> dict[str, Any]:
    return {name: dice.choice(values) for name, values in dice.sample(_VALUES, dice.randint(1, 3))}


def _until(dice: Random, at: datetime) -> str:
    return dice.choice((_NEVER, (at + timedelta(hours=1)).isoformat()))


_Made = Callable[[Random, datetime], dict[str, Any]]
_ABOUT_PROFILES: Final = frozenset(
    {
        "define_field",
        "define_status",
        "protect_company",
        "unprotect_company",
        "update_profile",
        "set_profile_status",
        "set_profile_companies",
        "edit_note",
        "delete_note",
        "delete_profile",
    }
)
_FIELDS: Final[dict[str, _Made]] = {
    "update_contact": lambda dice, _at: {"set": _some_values(dice)},
    "assign_conversation": lambda dice, _at: {"assignee": dice.choice(("bo", "cy", None))},
    "create_contact": lambda dice, _at: {"set": _some_values(dice), "tags": ["again"]},
    "add_tag": lambda dice, _at: {"tag": dice.choice(("vip", "new"))},
    "remove_tag": lambda dice, _at: {"tag": dice.choice(("vip", "new"))},
    "comment": lambda _dice, _at: {"text": "called"},
    "open_conversation": lambda _dice, _at: {},
    "close_conversation": lambda _dice, _at: {},
    "snooze_conversation": lambda dice, at: {"until": _until(dice, at)},
    "attach_contact": lambda dice, _at: dice.choice(
        [*({"profile_id": profile} for profile in PROFILES), {"profile_name": dice.choice(_SPELLINGS)}]
    ),
    "detach_contact": lambda _dice, _at: {},
    "delete_profile": lambda _dice, _at: {"profile_id": DELETED},
    "define_field": lambda dice, _at: {
        "scope": "contact",
        "name": "colour",
        "type": "list",
        "options": dice.choice(_LISTS),
    },
    "define_status": lambda dice, _at: {"name": "vip", "protected": dice.choice((True, False))},
    "protect_company": lambda dice, _at: {"company_id": dice.choice(("c1", "c2"))},
    "unprotect_company": lambda dice, _at: {"company_id": dice.choice(("c1", "c2"))},
    "set_profile_status": lambda dice, _at: {"profile_id": "p1", "status": dice.choice(("vip", "lead", None))},
    "set_profile_companies": lambda dice, _at: {
        "profile_id": "p1",
        "company_ids": dice.choice(([], ["c1"], ["c2", "c1"])),
    },
    "update_profile": lambda dice, _at: {
        "profile_id": dice.choice(PROFILES[:2]),
        "set": dice.choice(({"name": "A"}, {"name": "B", "custom.size": 1}, {"custom.size": None})),
    },
    "edit_note": lambda dice, _at: {
        "profile_id": "p1",
        "note_id": dice.choice(NOTES),
        "text": dice.choice(("later", "last")),
    },
    "delete_note": lambda dice, _at: {"profile_id": dice.choice(PROFILES), "note_id": dice.choice(NOTES)},
}
_FAMILIES: Final[Sequence[dict[str, int]]] = (
    {"update_contact": 4, "assign_conversation": 1, "create_contact": 1},
    {"add_tag": 2, "remove_tag": 2, "comment": 1},
    {"open_conversation": 2, "close_conversation": 3, "snooze_conversation": 2},
    {"attach_contact": 4, "detach_contact": 2, "delete_profile": 1},
    {
        "define_status": 2,
        "protect_company": 2,
        "unprotect_company": 2,
        "set_profile_status": 2,
        "set_profile_companies": 2,
    },
    {"update_profile": 4, "edit_note": 4, "delete_note": 1, "define_field": 2},
)
"""How often a command comes, compared with the others of its family."""

SETTLED: Final = tuple(_settled())
"""What a history's commands rely on; it comes first in every delivery."""
