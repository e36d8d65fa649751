"""Contract section 11: `sluice import` and `sluice contacts export`, through topics and views."""

import asyncio
import csv
import json
from io import StringIO
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.scenes import give
from tests.acceptance.stage import PHONE, Workspace
from tests.acceptance.test_command_line import on_the_embedded_broker, run, told
from tests.cli.commands import Sluice
from tests.support.databases import reader_of
from workers.errors import ExitCode

FIELDS = (
    {"name": "seats", "type": "number"},
    {"name": "trial", "type": "checkbox"},
    {"name": "plans", "type": "list", "options": ["basic", "pro", "a;b"]},
)


@pytest.fixture
async def sluice(workspace: Workspace, tmp_path: Path) -> Sluice:
    broker = workspace.stage.broker
    return Sluice(
        tmp_path,
        DATABASE_URL=await reader_of(workspace.stage.database),
        KAFKA_BOOTSTRAP=broker.bootstrap,
        TOPIC_PREFIX=broker.topic_prefix,
    )


async def define(workspace: Workspace, scope: str = "contact") -> None:
    for field in FIELDS:
        await give(workspace, "define_field", scope=scope, **field)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text, newline="")))


async def test_rule_11_contacts_are_imported_once_and_exported_again(
    workspace: Workspace, sluice: Sluice, tmp_path: Path
) -> None:
    await define(workspace)
    await workspace.play(workspace.message("hi", sender={"address": PHONE, "name": "=cmd()"}))
    (tmp_path / "people.csv").write_text(
        "channel,address,first_name,tags,custom.seats,custom.trial,custom.plans\n"
        "sms,+4915112345001,Ada,vip;late,3,yes,basic;pro\n"
        f"whatsapp,{PHONE},Known,vip,,,\n"
        "email,Bob@Example.com,Bob,,2.5,no,a;b\n"
    )
    report = await told(sluice, workspace, "import", "contacts", "people.csv", errors=True)
    assert {n: report[n] for n in ("rows", "wrong", "created", "known", "answered_before", "refused")} == {
        "rows": 3, "wrong": 0, "created": 2, "known": 1, "answered_before": 0, "refused": {},
    }  # fmt: skip
    custom = {row["first_name"]: (row["tags"], row["custom"]) for row in await workspace.rows("contact_list")}
    assert custom == {
        "Ada": (["late", "vip"], {"seats": 3, "trial": True, "plans": ["basic", "pro"]}),
        "Bob": ([], {"seats": 2.5, "trial": False, "plans": "a;b"}),
        "=cmd()": ([], {}),
    }
    before = await workspace.rows("command_results")
    again = await told(sluice, workspace, "import", "contacts", "people.csv", errors=True)
    assert (again["answered_before"], again["created"]) == (3, 2)
    by_id = itemgetter("command_id")
    assert sorted(await workspace.rows("command_results"), key=by_id) == sorted(before, key=by_id)

    exported = await run(sluice, workspace, "contacts", "export")
    assert (exported.code, exported.err) == (ExitCode.CLEAN, "3 contacts\n")
    by_name = {row["first_name"]: row for row in rows(exported.out)}
    assert by_name.keys() == {"Ada", "Bob", "'=cmd()"}
    ada = by_name["Ada"]
    assert (ada["channel"], ada["address"], ada["tags"]) == ("sms", "+4915112345001", "late;vip")
    assert (ada["custom.seats"], ada["custom.trial"], ada["custom.plans"]) == ("3", "true", "basic;pro")
    assert by_name["Bob"]["custom.plans"] == "a;b"

    other = Workspace(workspace.stage, f"{workspace.id}-copy")
    await define(other)
    (tmp_path / "exported.csv").write_text(exported.out, newline="")
    copied = await told(sluice, other, "import", "contacts", "exported.csv", errors=True)
    assert (copied["wrong"], copied["created"]) == (0, 3)
    assert {row["first_name"] for row in await other.rows("contact_list")} == {"Ada", "Bob", "=cmd()"}
    assert by_name["Bob"]["address"] in {row["address"] for row in await other.rows("contact_channels")}


@on_the_embedded_broker
async def test_rule_11_known_contacts_are_changed_only_if_asked(
    workspace: Workspace, sluice: Sluice, tmp_path: Path
) -> None:
    await workspace.play(workspace.message("hi", sender={"address": PHONE, "name": "Ada"}))
    (tmp_path / "people.csv").write_text(f"address,last_name,tags\n{PHONE},Lovelace,vip\n")
    report = await told(
        sluice, workspace, "import", "contacts", "people.csv", "--channel", "whatsapp", "--update", errors=True
    )

    assert (report["known"], report["commands"], report["done"]) == (1, 3, 3)
    row = await workspace.row("contact_list")
    assert (row["first_name"], row["last_name"], row["tags"]) == ("Ada", "Lovelace", ["vip"])


@on_the_embedded_broker
async def test_rule_11_wrong_rows_are_named_and_nothing_is_given(
    workspace: Workspace, sluice: Sluice, tmp_path: Path
) -> None:
    await define(workspace)
    (tmp_path / "people.csv").write_text(
        "channel,address,email,country,tags,custom.seats,custom.colour\n"
        "sms,+4915112345001,,,,,\n"
        "sms,12,,,,,\n"
        "sms,0151 12345,,,,,\n"
        "email,a@b.example,nobody,,,,\n"
        "email,a@b.example,,Wakanda,,,\n"
        "line,u1,,,,,\n"
        "sms,+4915112345002,,,,many,\n"
        "sms,+4915112345003,,,,,red\n"
        "sms,+4915112345004,,\n"
    )
    ended = await run(sluice, workspace, "import", "contacts", "people.csv", "--json")
    report = json.loads(ended.out)
    assert (ended.code, report["rows"], report["wrong"]) == (ExitCode.FAULT, 9, 8)
    assert {(row["line"], row["column"]) for row in report["wrong_rows"]} == {
        (3, "address"), (4, "address"), (5, "email"), (6, "country"), (7, ""), (8, "custom.seats"),
        (9, "custom.colour"), (10, ""),
    }  # fmt: skip
    assert await workspace.rows("audit_log", command="create_contact") == []
    people = await run(sluice, workspace, "import", "contacts", "people.csv", "--dry-run")
    assert (people.code, "expected one bare e-mail address" in people.out) == (ExitCode.FAULT, True)

    some = await run(sluice, workspace, "import", "contacts", "people.csv", "--skip-wrong", "--json")
    assert (some.code, json.loads(some.out)["created"]) == (ExitCode.FAULT, 1)
    assert len(await workspace.rows("contact_list")) == 1


@on_the_embedded_broker
async def test_rule_11_what_the_check_calls_right_or_wrong_the_worker_does(
    workspace: Workspace, sluice: Sluice, tmp_path: Path
) -> None:
    """The check has the worker's rules: rows that it calls wrong are refused when they are given all the same."""
    await give(workspace, "configure_workspace", set={"default_region": "DE"})
    addresses = ["0151 12345678", "+4915112345001", "12", "x", "00491511234500", "+49 151 12345-003"]
    lines = "".join(f"sms,{address}\n" for address in addresses)
    (tmp_path / "people.csv").write_text(f"channel,address\n{lines}")
    ended = await run(sluice, workspace, "import", "contacts", "people.csv", "--dry-run", "--json")
    wrong = {row["line"] - 2 for row in json.loads(ended.out)["wrong_rows"]}

    for number, address in enumerate(addresses):
        answer = await give(workspace, "create_contact", identity={"channel": "sms", "address": address})
        assert (answer == "invalid") == (number in wrong), address


@on_the_embedded_broker
async def test_rule_11_profiles_are_imported_once(workspace: Workspace, sluice: Sluice, tmp_path: Path) -> None:
    await define(workspace, "profile")
    (tmp_path / "customers.csv").write_text("name,custom.seats\nLovelace,3\nBabbage,\n")
    for before in (0, 2):
        report = await told(sluice, workspace, "import", "profiles", "customers.csv", errors=True)
        assert (report["created"], report["answered_before"]) == (2, before)

    found = {row["name"]: row["fields"] for row in await workspace.rows("profile_overview")}
    assert found == {"Lovelace": {"seats": 3}, "Babbage": {}}
    assert len(await workspace.rows("profile_overview")) == 2


@on_the_embedded_broker
async def test_rule_11_an_export_is_audited_and_refused_to_whom_it_is_forbidden(
    workspace: Workspace, sluice: Sluice, tmp_path: Path
) -> None:
    await workspace.play(workspace.message("hi", sender={"address": PHONE, "name": "Ada"}))
    export = ("contacts", "export", "--output", "out.csv")
    refused = await run(sluice, workspace, *export, "--restriction", "data_export", role="manager")
    assert (refused.code, refused.out) == (ExitCode.FAULT, "")
    assert "refused, not_permitted: " in refused.err
    assert not (tmp_path / "out.csv").exists()

    done = await run(sluice, workspace, *export, role="manager")
    assert (done.code, done.out, done.err) == (ExitCode.CLEAN, "", "1 contacts in out.csv\n")
    assert [row["first_name"] for row in rows((tmp_path / "out.csv").read_text())] == ["Ada"]
    assert (tmp_path / "out.csv").stat().st_mode & 0o777 == 0o600
    outcomes = [row["outcome"] for row in await workspace.rows("audit_log", command="export_contacts")]
    assert sorted(outcomes) == ["done", "refused"]


@on_the_embedded_broker
async def test_rule_11_an_export_has_a_tag_s_contacts_and_is_json_if_asked(
    workspace: Workspace, sluice: Sluice
) -> None:
    await workspace.play(
        workspace.message("hi", sender={"address": PHONE, "name": "Ada"}),
        workspace.message("hi", address="+4915112345009"),
    )
    await give(workspace, "add_tag", identity={"channel": "whatsapp", "address": PHONE}, tag="vip")
    found: Any = await told(sluice, workspace, "contacts", "export", "--selection", "tag=vip", errors=True)

    [contact] = found
    assert (contact["first_name"], contact["tags"]) == ("Ada", ["vip"])
    assert contact["identities"] == [{"channel": "whatsapp", "channel_id": None, "address": PHONE}]
    none: Any = await told(sluice, workspace, "contacts", "export", "--selection", "tag=none", errors=True)
    assert none == []


@on_the_embedded_broker
async def test_rule_11_an_output_that_nobody_reads_is_no_failure_of_a_server(
    workspace: Workspace, sluice: Sluice
) -> None:
    await workspace.play(workspace.message("hi", sender={"address": PHONE, "name": "Ada"}))
    closed = await asyncio.to_thread(sluice.run_into_a_closed_pipe, "contacts", "export", *head(workspace))

    assert (closed.code, closed.err) == (ExitCode.FAULT, "sluice: standard output cannot be written: Broken pipe\n")


def head(workspace: Workspace) -> tuple[str, ...]:
    return ("--workspace", workspace.id, "--actor", "olga", "--role", "owner")
