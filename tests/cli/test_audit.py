"""`sluice audit` and `sluice commands show`: who gave which command, and what became of it."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from asyncpg import Pool

from tests.cli.commands import Ended
from tests.cli.inside import document_of, pages, runner
from tests.workers.asking import ask, by_phone, give
from tests.workers.ingesting import ingest
from tests.workers.records import WORKSPACE, message, uuid_of
from tests.workers.runs import ADA, apply, start
from workers.errors import ExitCode

IN: Final = ("--workspace", WORKSPACE)
BLOCK, REFUSED = uuid_of("the block"), uuid_of("the refused one")


@pytest.fixture
async def sluice(
    pool: Pool, database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Commands of two people, several of which were applied at one moment; one is refused."""
    await ingest(pool, message(ADA, name="Ada"))
    await apply(pool, start("r", 1))
    await give(pool, *(ask("add_tag", identity=by_phone(ADA), tag=f"t{n}", actor="bo") for n in range(3)))
    await give(pool, ask("block_contact", identity=by_phone(ADA), minutes=5, command_id=BLOCK))
    refused = ask(
        "define_company", company_id="c", name="Bolt", minutes=6, actor="bo", role="agent", command_id=REFUSED
    )
    await give(pool, refused)
    return runner(monkeypatch, capsys, columns=110, DATABASE_URL=database)


def told(sluice: Callable[..., Ended], *arguments: str) -> Any:
    return document_of(sluice(*arguments, *IN, "--json"))


def test_the_audit_log_is_read_page_by_page(sluice: Callable[..., Ended]) -> None:
    listed = told(sluice, "audit")
    assert [row["command"] for row in listed] == ["define_company", "block_contact", *["add_tag"] * 3]
    assert len({row["command_id"] for row in listed}) == 5
    for limit in (1, 2):
        assert pages(sluice, "audit", *IN, limit=limit) == listed
        assert pages(sluice, "audit", *IN, "--actor", "bo", limit=limit) == [
            row for row in listed if row["actor"] == "bo"
        ]


def test_the_audit_log_is_asked_for_a_person_a_command_and_a_time(sluice: Callable[..., Ended]) -> None:
    everything = told(sluice, "audit")
    for name in ("block", "block-contact", "block_contact"):
        [block] = told(sluice, "audit", "--command", name)
        assert block["changed"]["runs_halted"] == 1
        assert (block["command_id"], block["actor"], block["role"], block["module"]) == (
            str(BLOCK),
            "olga",
            "owner",
            "api",
        )
    assert len(told(sluice, "audit", "--actor", "bo", "--command", "add-tag")) == 3
    assert told(sluice, "audit", "--since", block["at"]) == everything[:2]
    assert sluice("audit", *IN, "--actor", "nobody").out == "There is no such command in the audit log.\n"


def test_a_command_tells_what_it_changed_or_why_it_was_refused(sluice: Callable[..., Ended]) -> None:
    block = told(sluice, "commands", "show", str(BLOCK))
    assert (block["outcome"], block["changed"]["runs_halted"]) == ("done", 1)
    page = sluice("commands", "show", str(BLOCK), *IN).out
    for line in (
        "command  block_contact\n",
        "given    by olga (owner) from api\n",
        "result   done\n",
        "runs_halted: 1\n",
    ):
        assert line in page
    refused = told(sluice, "commands", "show", str(REFUSED))
    assert (refused["outcome"], refused["reason"], refused["changed"]) == ("refused", "not_permitted", {})
    page = sluice("commands", "show", str(REFUSED), *IN).out
    assert "result   refused, not_permitted\n" in page
    assert f"because  {refused['detail']}"[:60] in page


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("audit", "--workspace", "nobody"), ExitCode.FAULT, "there is no workspace 'nobody'"),
        (("audit", *IN, "--since", "soon"), ExitCode.SETUP, "--since: expected a time"),
        (("commands", "show", str(BLOCK), "--workspace", "nobody"), ExitCode.FAULT, "there is no workspace 'nobody'"),
        (
            ("commands", "show", str(uuid_of("x")), *IN),
            ExitCode.FAULT,
            f"workspace 'acme' has no result of a command {uuid_of('x')}",
        ),
    ],
)
def test_what_is_not_there_or_wrong_is_a_sentence(
    sluice: Callable[..., Ended], arguments: tuple[str, ...], code: ExitCode, error: str
) -> None:
    ended = sluice(*arguments)
    assert (ended.code, ended.out) == (code, "")
    assert error in ended.err
