"""Contract section 11: commands given on the command line go through the topic and come back with their answer."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.acceptance.scenes import hold
from tests.acceptance.stage import PHONE, Workspace, now
from tests.cli.commands import Ended, Sluice
from tests.support.databases import reader_of
from workers.app.settings import load_settings
from workers.cli import giving
from workers.errors import ExitCode

WHATSAPP = ("--channel", "whatsapp", "--address", PHONE)

on_the_embedded_broker = pytest.mark.parametrize("stage_broker", ["embedded"], indirect=True, scope="package")
"""Each test starts processes for seconds. One of each file shows that real Kafka makes no difference."""


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


async def told(sluice: Sluice, workspace: Workspace, *arguments: str, role: str = "owner", errors: bool = False) -> Any:
    """The JSON document of a command that was done; `errors`: it may say something besides."""
    ended = await run(sluice, workspace, *arguments, "--json", role=role)
    assert (ended.code, ended.err if not errors else "") == (ExitCode.CLEAN, ""), ended
    return json.loads(ended.out)


async def contacts(workspace: Workspace, *numbers: int) -> list[str]:
    """The ids of new contacts who have written."""
    addresses = [f"+49151000{number:05}" for number in numbers]
    await workspace.play_together(
        *(workspace.message("hi", sender={"address": a, "name": f"N{a[-4:]}"}) for a in addresses)
    )
    return [str(await workspace.contact_id(address)) for address in addresses]


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


@on_the_embedded_broker
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


@on_the_embedded_broker
async def test_rule_11_what_does_not_fit_is_never_given(workspace: Workspace, sluice: Sluice) -> None:
    both = await run(sluice, workspace, "add-tag", *WHATSAPP, "--contact-id", str(uuid4()), "--tag", "a")
    assert (both.code, both.out) == (ExitCode.SETUP, "")
    assert "exactly one of --contact-id, --channel and --address" in both.err

    nobody = await run(sluice, workspace, "merge", "--survivor-id", "x", "--loser-id", str(uuid4()))
    assert (nobody.code, "--survivor-id" in nobody.err) == (ExitCode.SETUP, True)
    assert await workspace.rows("audit_log") == []


@on_the_embedded_broker
async def test_rule_11_one_command_id_is_carried_out_once(workspace: Workspace, sluice: Sluice) -> None:
    same = ("--command-id", str(uuid4()))
    first = await told(sluice, workspace, "create-profile", "--name", "Lovelace", *same)
    again = await told(sluice, workspace, "create-profile", "--name", "Lovelace", *same)

    assert first == again
    assert len(await workspace.rows("profile_overview")) == 1
    other = await run(sluice, workspace, "add-tag", *WHATSAPP, "--tag", "a", *same)
    assert (other.code, "already used, for create_profile" in other.err) == (ExitCode.FAULT, True)


@on_the_embedded_broker
async def test_rule_11_a_selection_gets_one_command_for_each_contact(workspace: Workspace, sluice: Sluice) -> None:
    ids = await contacts(workspace, 1, 2, 3)
    chosen = f"ids={ids[0]},{ids[1]},{ids[0]}"
    report = await told(sluice, workspace, "add-tag", "--tag", "vip", "--selection", chosen, errors=True)
    assert {name: report[name] for name in ("commands", "done", "unchanged", "refused")} == {
        "commands": 2, "done": 2, "unchanged": 0, "refused": {},
    }  # fmt: skip
    tagged = {str(row["contact_id"]) for row in await workspace.rows("contact_list") if row["tags"] == ["vip"]}
    assert tagged == set(ids[:2])

    counted = await told(sluice, workspace, "close-conversation", "--selection", "tag=vip", "--dry-run")
    assert counted == {"contacts": 2}
    assert await workspace.rows("audit_log", command="close_conversation") == []
    same = ("assign-conversation", "--assignee", "bo", "--selection", "tag=vip", "--command-id", report["command_id"])
    first = await told(sluice, workspace, *same[:-1], str(uuid4()), errors=True)
    again = await told(sluice, workspace, *same[:-1], first["command_id"], errors=True)
    assert (first["done"], first["answered_before"]) == (2, 0)
    assert (again["done"], again["answered_before"]) == (2, 2)
    assert len(await workspace.rows("audit_log", command="assign_conversation")) == 2
    other = await run(sluice, workspace, *same)
    assert (other.code, "already used, for add_tag" in other.err) == (ExitCode.FAULT, True)

    found = await told(sluice, workspace, "comment", "--text", "called", "--selection", "search=n0003", errors=True)
    assert found["done"] == 1
    [comment] = await workspace.rows("conversation_messages", kind="comment")
    assert str(comment["contact_id"]) == ids[2]


@on_the_embedded_broker
async def test_rule_11_refusals_of_a_selection_are_in_its_report(
    workspace: Workspace, sluice: Sluice, tmp_path: Path
) -> None:
    ids = await contacts(workspace, 1, 2)
    await told(sluice, workspace, "block", "--contact-id", ids[0])
    (tmp_path / "ids").write_text("\n".join([*ids, str(uuid4())]))
    ended = await run(sluice, workspace, "close-conversation", "--selection", "file=ids", "--json")

    report = json.loads(ended.out)
    assert (ended.code, report["commands"], report["done"]) == (ExitCode.FAULT, 3, 1)
    assert report["refused"] == {"contact_blocked": 1, "not_found": 1}
    assert ids[0] in [refusal["subject"] for refusal in report["refusals"]]
    people = await run(sluice, workspace, "close-conversation", "--selection", "file=ids")
    assert "contact_blocked" in people.out


@on_the_embedded_broker
async def test_rule_11_a_selection_that_does_not_fit_gives_nothing(workspace: Workspace, sluice: Sluice) -> None:
    for arguments, words in (
        (("--selection", "tag=a", "--contact-id", str(uuid4()), "--tag", "a"), "either --selection or --contact-id"),
        (("--selection", f"ids={uuid4()}", "--tag", ""), "--tag"),
        (("--selection", "file=none", "--tag", "a"), "none cannot be read"),
    ):
        ended = await run(sluice, workspace, "add-tag", *arguments)
        assert (ended.code, ended.out, words in ended.err) == (ExitCode.SETUP, "", True)
    assert await workspace.rows("audit_log") == []


@on_the_embedded_broker
async def test_rule_11_a_deletion_of_a_selection_needs_the_right_number(workspace: Workspace, sluice: Sluice) -> None:
    ids = await contacts(workspace, 1, 2)
    chosen = ("delete-contacts", "--selection", f"ids={','.join(ids)}", "--expected-count")
    wrong = await run(sluice, workspace, *chosen, "3")

    assert (wrong.code, "has 2 contacts, not 3 as expected: nothing is done" in wrong.err) == (ExitCode.FAULT, True)
    assert await workspace.rows("audit_log", command="delete_contacts") == []
    await run(sluice, workspace, *chosen, "2")
    [given] = await workspace.rows("audit_log", command="delete_contacts")
    assert json.loads(given["target"])["contact_ids"] == sorted(ids)


@on_the_embedded_broker
async def test_rule_11_a_stream_of_commands_is_never_far_ahead_of_its_answers(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    [contact_id] = await contacts(workspace, 1)
    broker = workspace.stage.broker
    settings = load_settings(
        database_url=await reader_of(workspace.stage.database),
        kafka_bootstrap=broker.bootstrap,
        topic_prefix=broker.topic_prefix,
    )
    monkeypatch.setattr(giving, "MOST_WAITING", 3)
    who = giving.giver_of(workspace.id, "olga", "owner", None, None, 30)
    ahead = 0

    async def comments() -> AsyncIterator[giving.Asked]:
        nonlocal ahead
        for number in range(20):
            ahead += 1
            assert ahead <= 3
            fields = {"contact_id": contact_id, "text": f"comment {number}"}
            yield giving.asked(who, "comment", uuid4(), now(), fields, number)

    subjects = []
    async with giving.desk(settings, who) as desk:
        async for answer in desk.answers(comments()):
            ahead -= 1
            subjects.append(answer.asked.subject)

    assert sorted(subjects) == list(range(20))
    assert len(await workspace.rows("conversation_messages", kind="comment")) == 20


@on_the_embedded_broker
async def test_rule_11_holds_are_confirmed_and_rejected_by_people(workspace: Workspace, sluice: Sluice) -> None:
    send = (await hold(workspace))["send_id"]
    await workspace.play_together(*(workspace.send(group_id="g") for _ in range(2)))

    confirmed = await run(sluice, workspace, "holds", "confirm", send)
    assert (confirmed.code, confirmed.out, confirmed.err) == (ExitCode.CLEAN, "1 released\n", "")
    evidence = await workspace.row("send_confirmations")
    assert (str(evidence["send_id"]), evidence["confirmed_by"], evidence["role"]) == (send, "olga", "owner")
    late = await run(sluice, workspace, "holds", "reject", send)
    assert (late.code, late.out) == (ExitCode.FAULT, "")
    assert late.err.startswith("sluice: refused, already_final: ")
    assert (await told(sluice, workspace, "holds", "reject", "--group", "g"))["changed"] == {"rejected": 2}
    assert await workspace.rows("held_sends") == []
    both = await run(sluice, workspace, "holds", "confirm", send, "--group", "g")
    assert (both.code, both.err) == (ExitCode.SETUP, "sluice: say which: either SEND_ID or --group\n")
