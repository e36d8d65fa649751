"""`sluice impact`: what a command would touch, in words and as figures, equal to what it then changes."""

from asyncio import to_thread
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import pytest
from asyncpg import Pool

from schemas.decoding import COMMAND_NAMES
from tests.cli.commands import Ended
from tests.cli.inside import document_of, runner
from tests.workers.asking import ask, by_phone, give, results
from tests.workers.ingesting import ingest
from tests.workers.records import WORKSPACE, message, uuid_of
from tests.workers.runs import apply, start
from tests.workers.sending import PHONE, protect, request, send, wrote
from workers.cli import impact_words
from workers.errors import ExitCode

IN: Final = ("--workspace", WORKSPACE)
FIGURES: Final = ("runs", "holds", "messages", "contacts", "active_contacts")
MAIL: Final = "Ada@Example.org"


@pytest.fixture
async def ada(pool: Pool) -> UUID:
    """A protected contact with two runs, one of them below the other, and a hold; she has written by mail as well."""
    contact_id = await wrote(pool, name="Ada")
    await ingest(pool, message(MAIL, channel="email"), message("+4915100000001"))
    await give(pool, ask("configure_workspace", set={"default_region": "DE"}))
    await protect(pool, contact_id)
    await apply(pool, start("above", 1), start("below", 2, parent_run_id="above"))
    await send(pool, request("s1"))
    return contact_id


@pytest.fixture
def sluice(
    ada: UUID,  # noqa: ARG001 - there is something to show
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Ended]:
    return runner(monkeypatch, capsys, DATABASE_URL=database)


def told(sluice: Callable[..., Ended], *arguments: str) -> Any:
    return document_of(sluice("impact", *arguments, *IN, "--json"))


def figures(document: Any) -> list[int]:
    return [document[name] for name in FIGURES]


async def test_what_is_told_before_a_block_is_what_the_block_changes(
    sluice: Callable[..., Ended], pool: Pool, ada: UUID
) -> None:
    of_ada = ("--contact-id", str(ada))
    before = await to_thread(told, sluice, "block", *of_ada)
    assert (before["command"], figures(before)) == ("block_contact", [2, 1, 0, 1, 0])
    page = await to_thread(sluice, "impact", "block-contact", *of_ada, *IN)
    assert page.out == (
        "command   block-contact\nruns      2 would be halted\nholds     1 would be cancelled\n"
        "contacts  1 would be blocked\n"
    )

    [changed] = await results(pool, ask("block_contact", identity=by_phone(PHONE), minutes=60))
    assert (changed["runs_halted"], changed["holds_cancelled"]) == (before["runs"], before["holds"])
    after = await to_thread(sluice, "impact", "block", *of_ada, *IN)
    assert after.out == "command  block-contact\ntouches  nothing: it would change nothing, or be refused\n"


def test_an_address_is_read_as_the_workers_read_it(sluice: Callable[..., Ended], ada: UUID) -> None:
    by_id = told(sluice, "block", "--contact-id", str(ada))
    assert told(sluice, "block", "--channel", "whatsapp", "--address", "0151 1234 5678") == by_id
    by_mail = told(sluice, "block", "--channel", "email", "--address", "ADA@example.ORG")
    assert figures(by_mail) == [0, 0, 0, 1, 0]


def test_protection_tells_who_would_wait(sluice: Callable[..., Ended]) -> None:
    document = told(sluice, "define-status", "--name", "nobody has it", "--protected")
    assert (figures(document), document["in_words"]) == ([0, 0, 0, 0, 0], {})


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("block", *IN), ExitCode.SETUP, "--contact-id"),
        (("block", "--contact-id", "x", *IN), ExitCode.SETUP, "at --contact-id"),
        (("block", "--channel", "line", "--address", "u", *IN), ExitCode.SETUP, "--channel"),
        (("unblock", "--contact-id", str(uuid_of("x")), *IN), ExitCode.SETUP, "No such command 'unblock'"),
        (
            ("block", "--contact-id", str(uuid_of("x")), "--workspace", "nobody"),
            ExitCode.FAULT,
            "there is no workspace 'nobody'",
        ),
    ],
)
def test_what_is_not_there_or_wrong_is_a_sentence(
    sluice: Callable[..., Ended], arguments: tuple[str, ...], code: ExitCode, error: str
) -> None:
    ended = sluice("impact", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert error in ended.err
    assert "Traceback" not in ended.err


def test_every_foreseen_command_exists_and_has_words_for_what_it_touches() -> None:
    assert impact_words.WORDS.keys() <= COMMAND_NAMES
    everything = dict.fromkeys(FIGURES, 10_001)
    for command, words in impact_words.WORDS.items():
        said = impact_words.told(command, everything)
        assert said.keys() == {*words, "active contacts"}
        assert all("more than 10,000" in line for line in said.values())
    many = dict.fromkeys(FIGURES, 501)
    assert impact_words.told("delete_contacts", many | {"active_contacts": 0}) == {
        "runs": "at least 501 would be halted",
        "holds": "at least 501 would be cancelled",
        "messages": "at least 501 would be erased for good",
        "contacts": "501 would be deleted",
    }
    one_less = dict.fromkeys(FIGURES, 0) | {"active_contacts": -1}
    assert impact_words.told("merge_contacts", one_less) == {
        "active contacts": "the counts of open cycles would be 1 less in all"
    }
