"""What people write in the load of the fault tests: into contacts, conversations and profiles.

Commands about one thing have one key, so they stay in order; what they come to depends on their times and on nothing
that another key says. Nobody is closed who is snoozed, nobody blocked is asked to open, and profiles that are deleted
have no contacts.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Any, Final

from tests.acceptance.making import Json, Maker, at, identity

EDITS: Final = 1_200

_CUSTOMERS: Final = 20  # profiles of each workspace that nobody protects
_VALUES: Final[Sequence[dict[str, Any]]] = (
    {"first_name": "Ada", "last_name": "Lovelace"},
    {"first_name": None, "country": "fr"},
    {"email": "Ada@Example.com", "custom.seats": 3},
    {"custom.seats": None, "assignee": "bo"},
    {"phone": "nobody's number"},  # does not fit: refused
)


def definitions(maker: Maker) -> Iterator[Json]:
    """What the edits rely on."""
    yield maker.command("define_field", scope="contact", name="seats", type="number", at=at(1))
    yield maker.command("define_field", scope="profile", name="size", type="number", at=at(1))
    for number in range(_CUSTOMERS):
        yield maker.command("create_profile", profile_id=f"c{number}", name=f"Customer {number}", at=at(1))


def edits(dice: random.Random, makers: Sequence[Maker], addresses: dict[str, dict[int, str]]) -> Iterator[Json]:
    """Commands within the time of the load. `addresses` has each person's address, by workspace and number."""
    for number in range(EDITS):
        maker, minute = dice.choice(makers), 10 + dice.randrange(15_000) / 100 + number / 1e6
        kind = dice.choice((_about_a_contact, _about_a_contact, _about_a_conversation, _about_a_profile))
        yield from kind(dice, maker, addresses[maker.id], minute, number)


def _about_a_contact(
    dice: random.Random, maker: Maker, people: dict[int, str], minute: float, number: int
) -> Iterator[Json]:
    who = identity(people[dice.choice(list(people))])
    match dice.randrange(6):
        case 0:
            new = identity(f"+49152{dice.randrange(10**7):07}")
            yield maker.command("create_contact", identity=new, set={"first_name": "New"}, tags=["new"], at=at(minute))
        case 1 | 2:
            yield maker.command("update_contact", identity=who, set=dice.choice(_VALUES), at=at(minute))
        case 3:
            yield maker.command("comment", identity=who, text=f"Comment {number}", at=at(minute))
        case _:
            command = dice.choice(("add_tag", "add_tag", "remove_tag"))
            yield maker.command(command, identity=who, tag=dice.choice(("vip", "late")), at=at(minute))


def _about_a_conversation(
    dice: random.Random, maker: Maker, people: dict[int, str], minute: float, _number: int
) -> Iterator[Json]:
    person = dice.choice([number for number in people if number % 10 >= 4])
    who = identity(people[person])
    if person % 10 == 9:
        until = dice.choice((at(minute + 1), "2999-01-01T00:00:00Z"))
        yield maker.command("snooze_conversation", identity=who, until=until, at=at(minute))
    elif dice.random() < 0.2:
        yield maker.command("assign_conversation", identity=who, assignee=dice.choice(("cy", None)), at=at(minute))
    else:
        command = dice.choice(("open_conversation", "close_conversation"))
        yield maker.command(command, identity=who, at=at(minute))


def _about_a_profile(
    dice: random.Random, maker: Maker, people: dict[int, str], minute: float, number: int
) -> Iterator[Json]:
    profile = f"c{dice.randrange(_CUSTOMERS)}"
    match dice.randrange(5):
        case 0:  # comes and goes, and nobody is attached to it
            own = {"profile_id": f"x{number}"}
            yield maker.command("create_profile", name="Short", **own, at=at(minute))
            yield maker.command("update_profile", set={"name": "Shorter"}, **own, at=at(minute + 0.1))
            yield maker.command("delete_profile", **own, at=at(minute + 0.2))
        case 1:
            values = dice.choice(({"name": f"Customer {number}"}, {"custom.size": number}, {"custom.size": None}))
            yield maker.command("update_profile", profile_id=profile, set=values, at=at(minute))
        case 2:
            note = {"profile_id": profile, "note_id": f"n{number}"}
            yield maker.command("add_note", text=f"Note {number}", **note, at=at(minute))
            yield maker.command("edit_note", text="Edited", **note, at=at(minute + 0.1))
            if number % 3 == 0:
                yield maker.command("delete_note", **note, at=at(minute + 0.2))
        case _:
            # nobody sends to these in this part, so whose they are changes no send
            who = identity(people[dice.choice([n for n in people if n % 10 in (2, 3)])])
            if number % 3:
                yield maker.command("attach_contact", identity=who, profile_id=profile, at=at(minute))
            else:
                yield maker.command("detach_contact", identity=who, at=at(minute))
