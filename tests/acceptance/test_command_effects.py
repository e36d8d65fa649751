"""Contract section 2, commands: the effect of each supported command, in topics and views."""

from typing import Final

from tests.acceptance.scenes import at, by, give, hold, phone, protect, run, whatsapp
from tests.acceptance.stage import PHONE, WHATSAPP, Workspace

QUIET: Final = {"runs_halted": 0, "holds_cancelled": 0, "messages_revised": 0}


# --- blocks


async def test_rule_2_block_contact_closes_halts_cancels_and_revises(workspace: Workspace) -> None:
    await protect(workspace)
    await workspace.play(
        workspace.event("run_started", "r-1", at=at(1)),
        workspace.message("too late", at=at(12)),
        workspace.send(at=at(2)),
    )
    assert (await workspace.row("contact_overview"))["conversation_status"] == "open"

    changed = await give(workspace, "block_contact", identity=WHATSAPP, issued_at=at(5), note="rude", **by("anna"))
    assert changed == {"runs_halted": 1, "holds_cancelled": 1, "messages_revised": 1}
    row = await workspace.row("contact_overview")
    assert (row["conversation_status"], row["blocked"]) == ("blocked", True)
    blocked = {"contact_id": row["contact_id"], "blocked_at": at(5), "blocked_by": "anna"}
    assert await workspace.row("blocked_contacts") == {"workspace_id": workspace.id} | blocked
    assert await workspace.rows("contact_list") == []
    assert await run(workspace, "r-1") == ("halted", "contact_blocked")
    assert [r["status"] for r in await workspace.rows("sends")] == ["cancelled"]
    [revised] = await workspace.values("messages.revised")
    assert (revised["from"], revised["to"], revised["reason"]) == ("accepted", "dropped", "late_block")


async def test_rule_2_block_contact_creates_an_unknown_identity_blocked(workspace: Workspace) -> None:
    assert await give(workspace, "block_contact", identity=WHATSAPP) == QUIET

    row = await workspace.row("contact_overview")
    assert (row["phone"], row["blocked"], row["conversation_status"]) == (PHONE, True, "blocked")
    assert await give(workspace, "block_contact", contact_id=str(row["contact_id"])) == {}


async def test_rule_2_unblock_contact_leaves_the_conversation_closed_until_the_next_message(
    workspace: Workspace,
) -> None:
    send = await hold(workspace)
    await workspace.play(workspace.event("run_started", "r-1", at=at(1)))
    await give(workspace, "block_contact", identity=WHATSAPP, issued_at=at(20))
    assert await give(workspace, "unblock_contact", identity=WHATSAPP, issued_at=at(30)) == QUIET

    row = await workspace.row("contact_list")
    assert (row["conversation_status"], row["blocked"]) == ("closed", False)
    assert await workspace.rows("blocked_contacts") == []
    assert await run(workspace, "r-1") == ("halted", "contact_blocked")
    assert await workspace.rows("sends", status="cancelled", contact_id=row["contact_id"]) != []
    assert send["send_id"] not in {str(held["send_id"]) for held in await workspace.rows("held_sends")}

    await workspace.play(workspace.message("back", at=at(31)))
    assert (await workspace.row("contact_list"))["conversation_status"] == "open"


async def dropped(workspace: Workspace) -> list[str]:
    """Three messages that were dropped in a block from 5 to 15; their ids, by event time."""
    await workspace.play(workspace.command("block_contact", identity=WHATSAPP, at=at(5)))
    await workspace.play_together(*(workspace.message(f"at {n}", at=at(n)) for n in (10, 11, 12)))
    rows = await workspace.rows("drop_ledger")
    assert len(rows) == 3
    return [str(row["message_id"]) for row in sorted(rows, key=lambda row: row["event_time"])]


async def test_rule_2_release_dropped_accepts_what_a_person_picks(workspace: Workspace) -> None:
    first, *_ = await dropped(workspace)
    assert await give(workspace, "release_dropped", identity=WHATSAPP, message_ids=[first]) == "contact_blocked"
    await give(workspace, "unblock_contact", identity=WHATSAPP, issued_at=at(15))

    assert await give(workspace, "release_dropped", identity=WHATSAPP, message_ids=[first]) == {"messages_revised": 1}
    assert [str(row["message_id"]) for row in await workspace.rows("conversation_messages")] == [first]
    assert len(await workspace.rows("drop_ledger")) == 2
    [fact] = await workspace.values("messages.revised")
    assert (fact["message_id"], fact["from"], fact["to"], fact["reason"]) == (first, "dropped", "accepted", "released")
    assert (fact["content"]["text"], fact["revision"]) == ("at 10", 2)
    assert await give(workspace, "release_dropped", identity=WHATSAPP, message_ids=[first]) == {}


async def test_rule_2_release_dropped_takes_a_span_and_wins_over_the_interval(workspace: Workspace) -> None:
    await dropped(workspace)
    await give(workspace, "unblock_contact", identity=WHATSAPP, issued_at=at(15))
    span = {"from": at(10), "to": at(12)}

    assert await give(workspace, "release_dropped", identity=WHATSAPP, **span) == {"messages_revised": 2}
    assert [row["event_time"] for row in await workspace.rows("drop_ledger")] == [at(12)]
    # An older block that comes late covers them as well: a person's word stays.
    assert await give(workspace, "block_contact", identity=WHATSAPP, issued_at=at(4)) == QUIET
    assert len(await workspace.rows("conversation_messages")) == 2


# --- settings


async def test_rule_2_configure_workspace_sets_what_is_given(workspace: Workspace) -> None:
    given = {
        "time_zone": "Europe/Berlin",
        "anchor_day": 15,
        "hold_ttl_hours": 5,
        "default_region": "DE",
        "mac_limit": 9,
    }
    assert await give(workspace, "configure_workspace", set=given) == given
    defaults = {
        "mac_block_effect": "next_cycle",
        "count_broadcasts": True,
        "count_reactions": True,
        "close_grace_hours": 72,
        "quarantine_days": 7,
        "claim_ttl_hours": 24,
        "message_retention_days": None,
        "merge_undo_hours": 24,
        "two_person_confirm": False,
    }
    assert await workspace.row("workspace_settings") == {"workspace_id": workspace.id} | defaults | given

    assert await give(workspace, "configure_workspace", set={"anchor_day": 15, "mac_limit": None}) == {
        "mac_limit": None
    }
    assert (await workspace.row("workspace_settings"))["mac_limit"] is None


async def test_rule_2_configure_channel_makes_and_changes_a_channel(workspace: Workspace) -> None:
    channel = {"channel_id": "sms-1", "channel": "sms"}
    made = {"name": "Desk", "default_region": "DE", "count": False}
    assert await give(workspace, "configure_channel", **channel, **made) == {"channel": "sms"} | made
    assert await workspace.row("channels") == {"workspace_id": workspace.id} | channel | made

    assert await give(workspace, "configure_channel", **channel, name="Front") == {"name": "Front"}
    assert await give(workspace, "configure_channel", **(channel | {"channel": "email"})) == "invalid"
    # The region applies to what is applied after it.
    await workspace.play(workspace.message(channel="sms", channel_id="sms-1", address="0151 12345678"))
    assert (await workspace.row("contact_overview"))["phone"] == PHONE


# --- profiles


async def test_rule_2_create_profile_always_makes_a_new_one(workspace: Workspace) -> None:
    await give(workspace, "define_field", scope="profile", name="tier", type="number")
    one = await give(workspace, "create_profile", name="Ada", fields={"tier": 2}, issued_at=at(3), **by("anna"))
    two = await give(workspace, "create_profile", name="Ada")
    assert await give(workspace, "create_profile", name="Ada", profile_id="p-1") == {"profile_id": "p-1"}

    assert isinstance(one, dict)
    assert isinstance(two, dict)
    assert len({row["profile_id"] for row in await workspace.rows("profile_overview")}) == 3
    assert await workspace.row("profile_overview", profile_id=one["profile_id"]) == {
        "workspace_id": workspace.id,
        "profile_id": one["profile_id"],
        "name": "Ada",
        "status": None,
        "companies": [],
        "protected": False,
        "reasons": [],
        "fields": {"tier": 2},
        "notes": [],
        "created_by": "anna",
        "created_at": at(3),
    }


async def test_rule_2_attach_contact_by_name_makes_attaches_or_is_refused(workspace: Workspace) -> None:
    await workspace.play_together(workspace.message(), workspace.message(address=phone(1)))
    made = await give(workspace, "attach_contact", identity=WHATSAPP, profile_name=" Café Ada ")
    assert isinstance(made, dict)
    assert made == {"profile_id": made["profile_id"], "profile_created": True}

    # trimmed, NFC, case-folded
    attached = await give(workspace, "attach_contact", identity=whatsapp(phone(1)), profile_name="CAFE\u0301 ada")
    assert attached == {"profile_id": made["profile_id"], "profile_created": False}
    assert {row["profile_id"] for row in await workspace.rows("contact_overview")} == {made["profile_id"]}

    await give(workspace, "create_profile", name="café ada")
    assert await give(workspace, "attach_contact", identity=WHATSAPP, profile_name="Café Ada") == "invalid"


async def test_rule_2_attach_contact_moves_and_detach_contact_ends_it(workspace: Workspace) -> None:
    await workspace.play(workspace.message("seen by both", at=at(0)))
    for profile_id in ("p-1", "p-2"):
        await give(workspace, "create_profile", profile_id=profile_id, name=profile_id)
        changed = await give(workspace, "attach_contact", identity=WHATSAPP, profile_id=profile_id)
        assert changed == {"profile_id": profile_id, "profile_created": False}
        assert (await workspace.row("profile_moments"))["profile_id"] == profile_id

    assert await give(workspace, "detach_contact", identity=WHATSAPP) == {"profile_id": None}
    assert await workspace.rows("profile_moments") == []
    changes = [fact["profile_id"] for fact in await workspace.values("contacts.changes")]
    assert changes[-1] is None


async def test_rule_2_statuses_and_companies_are_defined_updated_and_set(workspace: Workspace) -> None:
    profile = {"profile_id": "p-1"}
    await give(workspace, "create_profile", **profile, name="Ada")
    assert await give(workspace, "set_profile_status", **profile, status="vip") == "not_found"
    assert await give(workspace, "define_status", name="vip", protected=False) == {"name": "vip", "protected": False}
    assert await give(workspace, "set_profile_status", **profile, status="vip") == {"status": "vip"}
    assert await give(workspace, "define_status", name="vip", protected=True) == {"protected": True}
    assert await workspace.row("profile_statuses") == {"workspace_id": workspace.id, "name": "vip", "protected": True}

    company = {"company_id": "c-1"}
    assert await give(workspace, "set_profile_companies", **profile, company_ids=["c-1"]) == "not_found"
    assert await give(workspace, "define_company", **company, name="One") == company | {"name": "One"}
    assert await give(workspace, "define_company", **company, name="Uno") == {"name": "Uno"}
    assert await give(workspace, "set_profile_companies", **profile, company_ids=["c-1"]) == {"company_ids": ["c-1"]}
    assert await give(workspace, "protect_company", **company) == {"protected": True}
    expected = {"workspace_id": workspace.id, "company_id": "c-1", "name": "Uno", "protected": True}
    assert await workspace.row("companies") == expected

    row = await workspace.row("profile_overview")
    assert (row["status"], row["companies"], row["protected"]) == ("vip", ["c-1"], True)
    assert set(row["reasons"]) == {"status_protected", "company_protected"}
    assert await give(workspace, "unprotect_company", **company) == {"protected": False}
    assert await give(workspace, "set_profile_status", **profile, status=None) == {"status": None}
    assert await give(workspace, "set_profile_companies", **profile, company_ids=[]) == {"company_ids": []}
    row = await workspace.row("profile_overview")
    assert (row["status"], row["companies"], row["protected"], row["reasons"]) == (None, [], False, [])


# --- merge suggestions (section 6)


async def test_rule_6_merge_suggestions_are_equal_numbers_and_addresses_of_people_who_are_not_blocked(
    workspace: Workspace,
) -> None:
    await workspace.play_together(
        workspace.message(at=at(0)),
        workspace.message(channel="sms", at=at(0)),
        workspace.message(address=phone(1), at=at(0)),
        workspace.message(channel="telegram", address=PHONE, at=at(0)),
        workspace.message(channel="email", address="eve@example.org", at=at(0)),
    )
    ana, same = [await workspace.contact_id(channel=kind, state="active") for kind in ("whatsapp", "sms")]

    assert await workspace.row("merge_suggestions") == {
        "workspace_id": workspace.id,
        "contact_ids": sorted([ana, same]),
        "field": "phone",
        "value": PHONE,
    }
    await workspace.play(workspace.command("block_contact", contact_id=ana))
    assert await workspace.rows("merge_suggestions") == []
