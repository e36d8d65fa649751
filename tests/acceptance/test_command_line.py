"""Contract section 11: commands given on the command line go through the topic and come back with their answer."""

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.acceptance.stage import PHONE, Workspace
from tests.cli.commands import Ended, Sluice
from tests.support.databases import reader_of
from workers.errors import ExitCode

WHATSAPP = ("--channel", "whatsapp", "--address", PHONE)


@pytest.fixture
async def sluice(workspace: Workspace, tmp_path: Path) -> Sluice:
    """The command line with the rights of a reader, against the stage."""
    broker = workspace.stage.broker
    return Sluice(
        tmp_path,
        DATABASE_URL=await reader_of(workspace.stage.database),
        KAFKA_BOOTSTRAP=broker.bootstrap,
        TOPIC_PREFIX=broker.topic_prefix,
    )


async def run(sluice: Sluice, workspace: Workspace, *arguments: str, role: str = "owner") -> Ended:
    head = ("--workspace", workspace.id, "--actor", "olga", "--role", role)
    return await asyncio.to_thread(sluice.run, *arguments, *head)


async def told(sluice: Sluice, workspace: Workspace, *arguments: str, role: str = "owner") -> Any:
    """The JSON document of a command that was done."""
    ended = await run(sluice, workspace, *arguments, "--json", role=role)
    assert (ended.code, ended.err) == (ExitCode.CLEAN, ""), ended
    return json.loads(ended.out)


async def test_rule_11_a_command_is_given_and_its_answer_printed(workspace: Workspace, sluice: Sluice) -> None:
    answer = await told(sluice, workspace, "create-contact", *WHATSAPP, "--set", "first_name=Ada", "--tag", "vip")
    row = await workspace.row("contact_overview")
    assert answer["changed"] == {"contact_id": str(row["contact_id"]), "created": True}
    assert (answer["command"], answer["outcome"], answer["reason"]) == ("create_contact", "done", None)
    assert (row["first_name"], row["tags"]) == ("Ada", ["vip"])

    contact = ("--contact-id", str(row["contact_id"]))
    blocked = await run(sluice, workspace, "block", *contact, "--note", "rude")
    assert (blocked.code, blocked.err) == (ExitCode.CLEAN, "")
    assert blocked.out.splitlines()[0] == "done: block_contact"
    assert "runs_halted: 0" in blocked.out
    assert (await workspace.row("contact_overview"))["blocked"] is True
    line = await workspace.row("audit_log", command="block_contact")
    assert (line["actor"], line["outcome"]) == ("olga", "done")


async def test_rule_11_a_refusal_is_exit_code_1_and_says_why(workspace: Workspace, sluice: Sluice) -> None:
    await told(sluice, workspace, "create-contact", *WHATSAPP)

    refused = await run(sluice, workspace, "update-contact", *WHATSAPP, "--set", "email=nobody")
    assert (refused.code, refused.out) == (ExitCode.FAULT, "")
    detail = "`set.email`: expected one bare e-mail address, or null; got a text of 6 characters"
    assert refused.err == f"sluice: refused, invalid: {detail}\n"

    forbidden = await run(sluice, workspace, "delete-profile", "--profile-id", "p-1", "--json", role="agent")
    assert (forbidden.code, forbidden.err) == (ExitCode.FAULT, "")
    assert json.loads(forbidden.out)["reason"] == "not_permitted"

    [audited] = await workspace.rows("audit_log", command="delete_profile")
    assert audited["outcome"] == "refused"


async def test_rule_11_what_does_not_fit_is_never_given(workspace: Workspace, sluice: Sluice) -> None:
    both = await run(sluice, workspace, "add-tag", *WHATSAPP, "--contact-id", str(uuid4()), "--tag", "a")
    assert (both.code, both.out) == (ExitCode.SETUP, "")
    assert "exactly one of --contact-id, --channel and --address" in both.err

    nobody = await run(sluice, workspace, "merge", "--survivor-id", "x", "--loser-id", str(uuid4()))
    assert (nobody.code, "--survivor-id" in nobody.err) == (ExitCode.SETUP, True)
    assert await workspace.rows("audit_log") == []


async def test_rule_11_one_command_id_is_carried_out_once(workspace: Workspace, sluice: Sluice) -> None:
    same = ("--command-id", str(uuid4()))
    first = await told(sluice, workspace, "create-profile", "--name", "Lovelace", *same)
    again = await told(sluice, workspace, "create-profile", "--name", "Lovelace", *same)

    assert first == again
    assert len(await workspace.rows("profile_overview")) == 1
    other = await run(sluice, workspace, "add-tag", *WHATSAPP, "--tag", "a", *same)
    assert (other.code, "already used, for create_profile" in other.err) == (ExitCode.FAULT, True)
