"""The loads of the other workers: sends, commands, workflow runs, for people who are already known."""

import random
from collections.abc import Iterator
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
    """What providers say of the same sends: that they were delivered."""
    for number, send in enumerate(_sends(count)):
        yield wire(_MAKER.receipt(send, "delivered", provider_message_id=f"out-{number}"))


def _sends(count: int) -> Iterator[Json]:
    dice = random.Random(1)
    for _ in range(count):
        id_ = UUID(int=dice.getrandbits(128), version=4)
        yield _MAKER.send(_TEXT, send_id=str(id_), to={"address": address(dice.randrange(CONTACTS))})


def commands(count: int) -> Iterator[Wire]:
    """Blocks and unblocks by turns, and every fifth makes a customer's profile."""
    dice = random.Random(2)
    for n in range(count):
        if n % 5 == 0:
            yield wire(_MAKER.command("create_profile", profile_id=f"p{n}", name=f"Profile {n}"))
        else:
            who = identity(address(dice.randrange(CONTACTS)))
            yield wire(_MAKER.command(("block_contact", "unblock_contact")[n % 2], identity=who))


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
    """That an automatic run began."""
    return wire(_MAKER.event("run_started", run, identity=who))


def block(contact: int) -> Wire:
    """A person blocks a contact now."""
    return wire(_MAKER.command("block_contact", identity=identity(address(contact)), at=now()))
