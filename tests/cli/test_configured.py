"""`sluice settings` and `sluice workspaces`: values in effect with since when, and what is configured beside them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from asyncpg import Pool

from tests.cli.commands import Ended
from tests.cli.inside import document_of, runner
from tests.workers.asking import ask, give
from tests.workers.ingesting import ingest
from tests.workers.records import DAY, WORKSPACE, message
from workers.errors import ExitCode

IN: Final = ("--workspace", WORKSPACE)
MINUTES_TO_NOW: Final = (datetime.now(UTC) - DAY) / timedelta(minutes=1)


@pytest.fixture
async def sluice(
    pool: Pool, database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """A workspace with settings of the past, of now and of the next cycle; one with nothing but a message."""
    await ingest(pool, message(), message(workspace_id="quiet"))
    await give(
        pool,
        ask("configure_workspace", set={"anchor_day": 5, "hold_ttl_hours": 10}),
        ask("configure_channel", channel_id="sms-1", channel="sms", name="Shop", count=True),
        ask("define_status", name="vip", protected=True),
        ask("define_company", company_id="c-1", name="Bolt"),
        ask("define_field", scope="contact", name="size", type="list", options=["S", "L"]),
        ask("create_contact", identity={"channel": "sms", "address": "+4915100000001"}, tags=["gold"]),
        ask("configure_workspace", set={"mac_limit": 7}, minutes=1),
        ask("configure_workspace", set={"mac_limit": 9}, minutes=2),
        ask("configure_workspace", set={"anchor_day": 9}, minutes=MINUTES_TO_NOW),
        ask("configure_channel", channel_id="sms-1", channel="sms", count=False, minutes=MINUTES_TO_NOW),
    )
    return runner(monkeypatch, capsys, DATABASE_URL=database)


def told(sluice: Callable[..., Ended], *arguments: str) -> Any:
    return document_of(sluice(*arguments, "--json"))


def test_a_setting_says_since_when_it_holds_or_from_when_on_it_will(sluice: Callable[..., Ended]) -> None:
    found = told(sluice, "settings", *IN)["settings"]
    by_name: dict[str, list[tuple[Any, bool]]] = {}
    for row in found:
        if row["channel_id"] is None:
            by_name.setdefault(row["name"], []).append((row["value"], row["in_effect"]))
    assert by_name["anchor_day"] == [(5, True), (9, False)]
    assert by_name["mac_limit"] == [(9, True)]
    assert by_name["time_zone"] == [("UTC", True)]
    [later] = [row for row in found if row["name"] == "anchor_day" and not row["in_effect"]]
    assert datetime.fromisoformat(later["holds_from"]) > datetime.now(UTC)
    [of_channel] = [row for row in found if row["channel_id"] is not None]
    assert (of_channel["channel_id"], of_channel["name"], of_channel["value"]) == ("sms-1", "count", False)

    page = sluice("settings", *IN).out
    assert [line.split() for line in page.splitlines() if "time zone" in line or "time_zone" in line] == [
        ["time_zone", "UTC", "the", "beginning", "yes"]
    ]
    assert "1970" not in page


def test_what_is_configured_is_shown_by_kind(sluice: Callable[..., Ended]) -> None:
    found = told(sluice, "settings", *IN)
    assert [(row["channel_id"], row["name"]) for row in found["channels"]] == [
        ("sms-1", "Shop"),
        ("whatsapp-main", None),
    ]
    assert found["statuses"] == [{"name": "vip", "protected": True}]
    assert found["companies"] == [{"company_id": "c-1", "name": "Bolt", "protected": False}]
    assert found["fields"] == [{"scope": "contact", "name": "size", "type": "list", "options": ["S", "L"]}]
    assert found["tags"] == [{"tag": "gold"}]


def test_a_workspace_that_was_never_configured_has_the_defaults(sluice: Callable[..., Ended]) -> None:
    found = told(sluice, "settings", "--workspace", "quiet")
    values = {row["name"]: row["value"] for row in found["settings"]}
    assert (values["anchor_day"], values["hold_ttl_hours"], values["mac_limit"]) == (1, 72, None)
    ended = sluice("settings", "--workspace", "nobody")
    assert (ended.code, ended.out, ended.err) == (ExitCode.FAULT, "", "sluice: there is no workspace 'nobody'\n")


def test_workspaces_are_listed_page_by_page(sluice: Callable[..., Ended]) -> None:
    acme, quiet = told(sluice, "workspaces")
    assert (acme["workspace_id"], acme["anchor_day"], quiet["workspace_id"], quiet["anchor_day"]) == (
        ("acme", 9, "quiet", 1)
    )  # fmt: skip
    first = sluice("workspaces", "--limit", "1")
    assert (first.code, "acme" in first.out, "quiet" in first.out) == (ExitCode.CLEAN, True, False)
    assert first.err == "--limit 1 is reached; there may be more: --after acme\n"
    assert told(sluice, "workspaces", "--after", "acme") == [quiet]
    assert sluice("workspaces", "--after", "quiet").out == "There is no workspace.\n"
