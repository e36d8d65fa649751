"""`sluice mac contacts` and `sluice mac adjustments`: who counts in a cycle, and what was adjusted, page by page."""

from collections.abc import Callable

import pytest
from asyncpg import Pool

from tests.cli.commands import Ended
from tests.cli.inside import document_of, pages, runner
from tests.cli.test_mac_export import ADJUSTMENTS, APRIL, CONTACTS, FILL, MARCH
from workers.errors import ExitCode


@pytest.fixture
async def sluice(
    pool: Pool, database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """A closed March with adjustments and an open April, whose two contacts were counted at one moment."""
    await pool.execute(FILL)
    return runner(monkeypatch, capsys, DATABASE_URL=database)


def test_who_counts_is_listed_by_when(sluice: Callable[..., Ended]) -> None:
    listed = document_of(sluice("mac", "contacts", *MARCH, "--json"))
    assert len(listed) == CONTACTS
    assert [row["first_counted_at"] for row in listed] == sorted((r["first_counted_at"] for r in listed), reverse=True)
    assert pages(sluice, "mac", "contacts", *MARCH, limit=7) == listed
    april = document_of(sluice("mac", "contacts", *APRIL, "--json"))
    assert len(april) == 2
    assert pages(sluice, "mac", "contacts", *APRIL, limit=1) == april


def test_adjustments_are_listed_with_their_cause(sluice: Callable[..., Ended]) -> None:
    listed = document_of(sluice("mac", "adjustments", *MARCH, "--json"))
    assert [(row["amount"], row["cause"]) for row in listed] == ADJUSTMENTS
    for limit in (1, 2):
        assert pages(sluice, "mac", "adjustments", *MARCH, limit=limit) == listed
    assert sluice("mac", "adjustments", *APRIL).out == "Nothing was adjusted in this cycle.\n"


@pytest.mark.parametrize("command", ["contacts", "adjustments"])
def test_what_is_not_there_is_a_sentence(sluice: Callable[..., Ended], command: str) -> None:
    ended = sluice("mac", command, "--workspace", "acme", "--cycle", "2026-03-02")
    assert (ended.code, ended.out) == (ExitCode.FAULT, "")
    assert "the one that contains that time begins at 2026-03-01" in ended.err
    ended = sluice("mac", command, "--workspace", "nobody", "--cycle", "2026-03-01")
    assert (ended.code, ended.err) == (ExitCode.FAULT, "sluice: there is no workspace 'nobody'\n")
