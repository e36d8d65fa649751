"""The loads of the other workers: sends, commands, workflow runs, for known contacts."""

import hashlib
import random
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from benchmarks.load import CONTACTS, address
from tests.acceptance.making import Json, Maker, Wire, identity, now, wire

_MAKER: Final = Maker("acme")
_TEXT: Final = "Good news: your blue chair has left our warehouse this morning and should be with you by Thursday."


def sends(count: int) -> Iterator[Wire]:
    """Requests from an inbox, none of them held or refused."""
    yield from map(wire, _sends(count))


def receipts(count: int) -> Iterator[Wire]:
    """Receipts for the same sends: delivered."""
    for number, send in enumerate(_sends(count)):
        yield wire(_MAKER.receipt(send, "delivered", provider_message_id=f"out-{number}"))


def _sends(count: int) -> Iterator[Json]:
    dice = random.Random(1)
    for _ in range(count):
        id_ = UUID(int=dice.getrandbits(128), version=4)
        yield _MAKER.send(_TEXT, send_id=str(id_), to={"address": address(dice.randrange(CONTACTS))})


def commands(count: int) -> Iterator[Wire]:
    """Alternating blocks and unblocks; every fifth creates a profile."""
    dice = random.Random(2)
    for n in range(count):
        if n % 5 == 0:
            yield wire(_MAKER.command("create_profile", profile_id=f"p{n}", name=f"Profile {n}"))
        else:
            who = identity(address(dice.randrange(CONTACTS)))
            yield wire(_MAKER.command(("block_contact", "unblock_contact")[n % 2], identity=who))


def tags(count: int) -> Iterator[Wire]:
    """One tag for contact after contact."""
    for n in range(count):
        yield wire(_MAKER.command("add_tag", identity=identity(address(n % CONTACTS)), tag=f"campaign {n // CONTACTS}"))


def inbox(count: int) -> Iterator[Wire]:
    """What a team does in its inbox, of each kind as much."""
    dice = random.Random(4)
    until = now() + timedelta(days=1)
    kinds: Sequence[tuple[str, Json]] = (
        ("add_tag", {"tag": "vip"}),
        ("remove_tag", {"tag": "vip"}),
        ("update_contact", {"set": {"first_name": "Ada", "language": "en"}}),
        ("assign_conversation", {"assignee": "u-7"}),
        ("comment", {"text": _TEXT}),
        ("close_conversation", {}),
        ("open_conversation", {}),
        ("snooze_conversation", {"until": until}),
    )
    for _ in range(count):
        name, fields = dice.choice(kinds)
        yield wire(_MAKER.command(name, identity=identity(address(dice.randrange(CONTACTS))), **fields))


def merge_or_undo(number: int, ids: Sequence[str]) -> Json:
    """Merges the first two contacts of a workspace with a past (`stored.sql`), and parts them again."""
    if number % 2:
        return _MAKER.command("undo_merge", merge_id=ids[-1])
    return _MAKER.command("merge_contacts", survivor_id=_contact(0), loser_id=_contact(1))


def confirm_group(number: int, _: Sequence[str]) -> Json:
    """Confirms one of the groups of a workspace with a past."""
    return _MAKER.command("confirm_send", group_id=f"group-{number}")


def reject_group(number: int, _: Sequence[str]) -> Json:
    return _MAKER.command("reject_send", group_id=f"group-{number}")


def block_runner(number: int, _: Sequence[str]) -> Json:
    """Blocks one of the people of a workspace with a past who have many runs."""
    return _MAKER.command("block_contact", contact_id=_contact(number), at=now())


def _contact(number: int) -> str:
    return str(UUID(hashlib.md5(f"c{number}".encode(), usedforsecurity=False).hexdigest()))


def runs(count: int) -> Iterator[Wire]:
    """Events of runs, four each: a start, two steps that ask, an end."""
    dice = random.Random(3)
    for number in range(count // 4):
        run, who = f"run-{number}", identity(address(dice.randrange(CONTACTS)))
        yield start(run, who)
        yield wire(_MAKER.event("step_requested", run, step_id="s0", action="add_tag"))
        yield wire(_MAKER.event("step_requested", run, step_id="s1", action="send_message"))
        yield wire(_MAKER.event("run_finished", run))


def start(run: str, who: Json) -> Wire:
    """The start of an automatic run."""
    return wire(_MAKER.event("run_started", run, identity=who))


def block(contact: int) -> Wire:
    """A user blocks a contact now."""
    return wire(_MAKER.command("block_contact", identity=identity(address(contact)), at=now()))
