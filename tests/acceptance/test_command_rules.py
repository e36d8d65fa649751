"""Contract section 2, commands: applied once, permissions, refusals, and the audit log."""

from typing import Final
from uuid import UUID, uuid4

import msgspec

from tests.acceptance.scenes import at, by, phone, results, whatsapp
from tests.acceptance.stage import MISSING, PHONE, WHATSAPP, Json, Workspace

RESULT: Final = {"workspace_id", "command_id", "command", "outcome", "reason", "detail", "changed"}
AUDIT: Final = {"workspace_id", "at", "actor", "command", "target", "outcome", "reason", "detail"}
TARGET: Final[Json] = {"identity": WHATSAPP}
PROFILE: Final[Json] = {"profile_id": "p-1"}
SPAN: Final[Json] = {"from": at(0), "to": at(1)}
NOBODY: Final = "00000000-0000-0000-0000-000000000001"

EXECUTED: Final[dict[str, Json]] = {
    "block_contact": TARGET,
    "unblock_contact": TARGET,
    "release_dropped": TARGET | SPAN,
    "configure_workspace": {"set": {"quarantine_days": 3}},
    "configure_channel": {"channel_id": "wa", "channel": "whatsapp"},
    "create_profile": {"name": "Ada"},
    "attach_contact": TARGET | {"profile_name": "Ada"},
    "detach_contact": TARGET,
    "define_status": {"name": "vip", "protected": True},
    "set_profile_status": PROFILE | {"status": "vip"},
    "define_company": {"company_id": "c-1", "name": "One"},
    "set_profile_companies": PROFILE | {"company_ids": ["c-1"]},
    "protect_company": {"company_id": "c-1"},
    "unprotect_company": {"company_id": "c-1"},
    "confirm_send": {"send_id": NOBODY},
    "reject_send": {"send_id": NOBODY},
    "settle_send": {"send_id": NOBODY, "as": "sent"},
    "close_cycle": {"cycle_start": at(0), "reason": "a partition is lost"},
    "create_contact": TARGET | {"set": {"first_name": "Ada"}, "tags": ["vip"]},
    "update_profile": PROFILE | {"set": {"name": "Eve"}},
    "add_note": PROFILE | {"text": "hm"},
    "edit_note": PROFILE | {"note_id": "n-1", "text": "hm"},
    "delete_note": PROFILE | {"note_id": "n-1"},
    "delete_profile": PROFILE,
    "define_field": {"scope": "contact", "name": "size", "type": "number"},
    "update_contact": TARGET | {"set": {"first_name": "Ada", "custom.size": 42}},
    "add_tag": TARGET | {"tag": "new"},
    "remove_tag": TARGET | {"tag": "new"},
    "assign_conversation": TARGET | {"assignee": "anna"},
    "export_contacts": {"filter": "vip"},
    "open_conversation": TARGET,
    "close_conversation": TARGET,
    "snooze_conversation": TARGET | {"until": at(600)},
    "comment": TARGET | {"text": "hm"},
    "merge_contacts": {"survivor_id": NOBODY, "loser_id": str(UUID(int=2))},
    "undo_merge": {"merge_id": NOBODY},
    "remove_channel": TARGET | {"actor": {"id": "olga", "role": "owner", "module": "contacts"}},
    "delete_contacts": {
        "contact_ids": [NOBODY],
        "expected_count": 0,
        "actor": {"id": "olga", "role": "owner", "module": "contacts"},
    },
}


async def seen(workspace: Workspace) -> list[list[str]]:
    """What the views of commands show; a view has no order of its own."""
    views = ("profile_overview", "companies", "channels", "contact_overview", "tags", "field_definitions", "audit_log")
    return [sorted(map(str, await workspace.rows(view))) for view in views]


async def at_once(workspace: Workspace, *commands: Json) -> list[Json | str]:
    """Plays commands at once: what each changed, or why it was refused."""
    await workspace.play_together(*commands)
    return await results(workspace, *commands)


def fresh(workspace: Workspace, *names: str, **fields: Json) -> list[Json]:
    """Commands that have not been given before."""
    return [workspace.command(name, **(EXECUTED[name] | fields)) for name in names]


# --- every command


async def test_rule_2_every_executed_command_has_one_result_and_one_line_in_the_audit_log(workspace: Workspace) -> None:
    commands = [workspace.command(name, **fields) for name, fields in EXECUTED.items()]
    await workspace.play_together(*commands)
    answers = await workspace.values("commands.results")

    assert {r["command_id"]: r["command"] for r in answers} == {c["command_id"]: c["command"] for c in commands}
    assert all(answer.keys() == RESULT for answer in answers)
    assert {(r["outcome"], r["reason"] is None, r["detail"] is None) for r in answers} == {
        ("done", True, True),
        ("refused", False, False),
    }
    assert all(r["changed"] == {} for r in answers if r["outcome"] == "refused")
    rows = await workspace.rows("audit_log")
    assert all(row.keys() == AUDIT for row in rows)
    assert sorted((row["command"], row["outcome"], row["reason"] or "") for row in rows) == sorted(
        (r["command"], r["outcome"], r["reason"] or "") for r in answers
    )
    assert {row["actor"] for row in rows} == {"olga"}


async def test_rule_2_a_command_given_twice_does_nothing_the_second_time(workspace: Workspace) -> None:
    await workspace.play(workspace.message(at=at(0)))
    commands = [workspace.command(name, **fields) for name, fields in EXECUTED.items()]
    await workspace.play_together(*commands)
    before = await seen(workspace)
    facts = {topic: len(await workspace.outputs(topic)) for topic in ("sends.status", "messages.revised")}
    for command in reversed(commands):  # under other keys: perhaps from other partitions
        key = f"{workspace.id}:{command['command_id']}".encode()
        await workspace.stage.publish("contacts.commands", (key, msgspec.json.encode(command)))
    await workspace.stage.applied()

    answers = await workspace.outputs("commands.results")
    assert len(answers) == 2 * len(commands)
    assert len({(out.head["ce_id"], out.key, out.raw) for out in answers}) == len(commands)
    assert before == await seen(workspace)
    assert facts == {topic: len(await workspace.outputs(topic)) for topic in facts}


async def test_rule_2_one_that_changes_nothing_is_done_with_an_empty_changed(workspace: Workspace) -> None:
    await workspace.play(workspace.message(at=at(0)))
    await workspace.play(workspace.command("create_profile", **PROFILE, name="Ada"))
    doing = (
        *("block_contact", "define_status", "define_company", "protect_company", "configure_workspace"),
        *("configure_channel", "set_profile_status", "set_profile_companies", "attach_contact"),
        *("define_field", "update_contact", "add_tag", "assign_conversation"),
    )
    undoing = ("unblock_contact", "unprotect_company", "detach_contact", "remove_tag", "open_conversation")
    for names in (doing, undoing):
        commands = fresh(workspace, *names)
        await workspace.play(*commands)
        assert all(isinstance(answer, dict) and answer for answer in await results(workspace, *commands))
        assert await at_once(workspace, *fresh(workspace, *names)) == [{}] * len(names)
    assert await at_once(workspace, *fresh(workspace, "release_dropped")) == [{}]


# --- refusals


async def test_rule_2_what_cannot_be_understood_is_invalid_or_a_dead_letter(workspace: Workspace) -> None:
    bad = [
        workspace.command("block_contact"),
        workspace.command("block_contact", contact_id=NOBODY, **TARGET),
        workspace.command("configure_workspace", set={"anchor_day": 32}),
        workspace.command("configure_workspace", set={}),
        workspace.command("define_status", name="vip", protected=True, issued_at=MISSING),
        workspace.command("release_dropped", **TARGET),
    ]
    letters = [workspace.command("explode"), workspace.command("block_contact", **TARGET, command_id="7")]
    await workspace.play_together(*letters)

    assert await at_once(workspace, *bad) == ["invalid"] * len(bad)
    assert len(await workspace.rows("audit_log", reason="invalid")) == len(bad)
    assert len(await workspace.outputs("commands.results")) == len(bad)
    assert await workspace.rows("contact_overview") == []


async def test_rule_2_who_or_what_is_not_there_is_not_found(workspace: Workspace) -> None:
    await workspace.play_together(
        workspace.message(at=at(0)), workspace.command("create_profile", **PROFILE, name="Ada")
    )
    is_new_contact: Json = {"identity": whatsapp(phone(1))}
    commands = [
        workspace.command("block_contact", contact_id=str(uuid4())),
        workspace.command("unblock_contact", **is_new_contact),
        workspace.command("release_dropped", **is_new_contact, **SPAN),
        workspace.command("attach_contact", **is_new_contact, **PROFILE),
        workspace.command("attach_contact", **TARGET, profile_id="p-2"),
        workspace.command("detach_contact", **is_new_contact),
        workspace.command("set_profile_status", profile_id="p-2", status=None),
        workspace.command("set_profile_status", **PROFILE, status="vip"),
        workspace.command("set_profile_companies", **PROFILE, company_ids=["c-1"]),
        workspace.command("protect_company", company_id="c-1"),
        workspace.command("unprotect_company", company_id="c-1"),
        workspace.command("confirm_send", send_id=str(uuid4())),
        workspace.command("reject_send", group_id="g-1"),
    ]

    assert await at_once(workspace, *commands) == ["not_found"] * len(commands)
    assert len(await workspace.rows("audit_log", outcome="refused", reason="not_found")) == len(commands)


async def test_rule_2_the_audit_log_shows_no_address(workspace: Workspace) -> None:
    half: Json = {"identity": WHATSAPP | {"channel_id": 7}}
    await workspace.play_together(
        workspace.command("block_contact", **TARGET),
        workspace.command("unblock_contact", identity=whatsapp(phone(1))),
        workspace.command("add_tag", **TARGET, tag="new"),
        workspace.command("block_contact", **half),
        workspace.command("block_contact", contact_id=PHONE),
        workspace.command("attach_contact", **TARGET),
        workspace.command("block_contact", **TARGET, **by("anna", module="contacts")),
    )

    rows = await workspace.rows("audit_log")
    assert len(rows) == 7
    assert not [row for row in rows if PHONE in (row["target"] or "") or phone(1) in (row["target"] or "")]
    blocked = await workspace.row("audit_log", command="block_contact", outcome="done")
    assert msgspec.json.decode(blocked["target"]) == {"contact_id": str(await workspace.contact_id())}


# --- who may give them


def given(workspace: Workspace, names: tuple[str, ...], *actors: Json) -> list[Json]:
    """Each of the commands by each of the actors."""
    return [command for actor in actors for command in fresh(workspace, *names, **actor)]


async def test_rule_2_agents_block_from_the_inbox_only(workspace: Workspace) -> None:
    names = ("block_contact", "unblock_contact")
    elsewhere = [by("anna", module=module) for module in ("contacts", "profiles", "settings", "api")]
    assert await at_once(workspace, *given(workspace, names, *elsewhere)) == ["not_permitted"] * 8
    assert await workspace.rows("contact_overview") == []

    may = [by("anna"), by("max", "manager", "contacts"), by("olga", "owner", "api"), by("x", "system", "profiles")]
    answers = await at_once(workspace, *given(workspace, names, *may))
    assert [type(answer) for answer in answers] == [dict] * 8


async def test_rule_2_agents_may_not_do_what_is_for_owners_and_managers(workspace: Workspace) -> None:
    await workspace.play(workspace.message(at=at(0)))
    managing = (
        *("release_dropped", "define_status", "define_company", "protect_company", "unprotect_company"),
        *("configure_channel", "define_field", "merge_contacts", "undo_merge", "delete_profile", "settle_send"),
    )
    refused = await at_once(workspace, *given(workspace, (*managing, "configure_workspace"), by("anna")))
    assert refused == ["not_permitted"] * (len(managing) + 1)
    assert await workspace.rows("profile_statuses") == []

    others = [by("x", role) for role in ("manager", "owner", "system")]
    assert "not_permitted" not in await at_once(workspace, *given(workspace, managing, *others))
    configured = await at_once(workspace, *given(workspace, ("configure_workspace",), *others))
    assert configured == ["not_permitted", {"quarantine_days": 3}, {}]


async def test_rule_2_anybody_may_work_with_profiles_and_answer_holds(workspace: Workspace) -> None:
    anybody = (
        *("create_profile", "attach_contact", "detach_contact", "set_profile_status", "set_profile_companies"),
        *("confirm_send", "reject_send", "update_contact", "add_tag", "remove_tag", "open_conversation"),
        *("close_conversation", "assign_conversation", "snooze_conversation", "comment", "update_profile"),
        *("add_note", "edit_note", "delete_note"),
    )
    actors = (by("a", "agent", "profiles"), by("b", "agent", "api"), by("c", "manager"), by("d", "system"))
    assert "not_permitted" not in await at_once(workspace, *given(workspace, anybody, *actors))


async def test_rule_2_removing_is_for_owners_and_managers_from_contacts_and_api(workspace: Workspace) -> None:
    removing = ("remove_channel", "delete_contacts")
    may_not = (by("a", "agent", "contacts"), by("b", "manager", "inbox"), by("c", "owner", "settings"))
    may = (by("d", "manager", "contacts"), by("e", "owner", "api"), by("f", "system", "inbox"))

    assert await at_once(workspace, *given(workspace, removing, *may_not)) == ["not_permitted"] * 6
    assert await at_once(workspace, *given(workspace, removing, *may)) == ["not_found", {}] * 3


async def test_rule_2_restrictions_bind_managers(workspace: Workspace) -> None:
    def under(restriction: str, *names: str, role: str = "manager") -> list[Json]:
        return given(workspace, names, by("max", role, "contacts", [restriction]))

    settings = ("define_status", "define_company", "define_field", "configure_channel", "configure_workspace")
    bound = [*under("settings", *settings), *under("contact_deletion", "delete_contacts")]
    assert await at_once(workspace, *bound) == ["not_permitted"] * 6
    free = [
        *under("settings", "protect_company", "delete_contacts"),
        *under("contact_deletion", "remove_channel", *settings[:4]),
        *under("settings", *settings, role="owner"),
    ]
    assert "not_permitted" not in await at_once(workspace, *free)
