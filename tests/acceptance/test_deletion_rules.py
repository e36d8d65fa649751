"""Contract sections 2, 3.1, 4, 5, 7, 8 and 10 on deletion: through topics and views."""

from typing import Any, Final
from uuid import UUID

from tests.acceptance.scenes import at, by, give, hold, phone, run, whatsapp
from tests.acceptance.stage import PHONE, WHATSAPP, Json, Workspace
from tests.workers.erasing import traces

OWNER: Final[Json] = by("olga", "owner", "contacts")
VIEWS: Final = ("contact_overview", "contact_list", "contact_channels", "conversation_messages", "inbox", "held_sends")


async def delete(workspace: Workspace, *contact_ids: Any, **fields: Any) -> Any:
    """What the deletion of these contacts changed, or why it was refused."""
    ids = {"contact_ids": [str(c) for c in contact_ids], "expected_count": len(contact_ids)} if contact_ids else {}
    return await give(workspace, "delete_contacts", **{"issued_at": at(30), **OWNER, **ids, **fields})


async def erased(workspace: Workspace) -> None:
    """Waits until the history of every deletion is gone."""
    query = "SELECT bool_and(finished_at IS NOT NULL) FROM sluice.deletions WHERE workspace_id = $1"

    async def reached() -> bool:
        return bool(await workspace.stage.pool.fetchval(query, workspace.id))

    await workspace.stage.until(reached, "a deletion does not finish")


async def newest_changes(workspace: Workspace) -> dict[bytes, bytes | None]:
    """The last record of each key on `contacts.changes`."""
    outputs = await workspace.stage.everything()
    mine = [o for o in outputs if o.topic == "contacts.changes" and (o.key or b"").startswith(workspace.id.encode())]
    return {o.key or b"": o.raw for o in mine}


async def test_rule_2_delete_contacts_cuts_off_at_once_and_erases_in_the_background(workspace: Workspace) -> None:
    other = phone(1)
    held = await hold(workspace)
    await workspace.play(
        workspace.message("secret plan", at=at(1), sender={"address": PHONE, "name": "Ada Lovelace"}),
        workspace.message("from bob", at=at(1), address=other, sender={"address": other, "name": "Bob"}),
        workspace.event("run_started", "r-1", at=at(2)),
        workspace.command("comment", identity=WHATSAPP, text="she sings", at=at(3)),
        workspace.command("add_tag", identity=WHATSAPP, tag="vip", at=at(3)),
    )
    ada = (await workspace.row("contact_overview", display_name="Ada Lovelace"))["contact_id"]

    assert await delete(workspace, ada) == {"contacts": 1, "runs_halted": 1, "holds_cancelled": 1}

    for view in VIEWS:
        assert await workspace.rows(view, contact_id=ada) == []
    assert await run(workspace, "r-1") == ("halted", "contact_deleted")
    sends = {str(row["send_id"]): (row["status"], row["reason"]) for row in await workspace.rows("sends")}
    assert sends[held["send_id"]] == ("cancelled", "contact_deleted")
    [halted] = await workspace.values("workflows.control")
    assert (halted["control"], halted["reason"]) == ("run_halted", "contact_deleted")

    await erased(workspace)
    row = await workspace.row("deletions")
    assert row.keys() == {"workspace_id", "deletion_id", "requested_at", "contacts", "done", "finished_at"}
    assert (row["requested_at"], row["contacts"], row["done"]) == (at(30), 1, 1)
    words = ("secret plan", "lovelace", PHONE, PHONE[1:], "she sings")
    assert await traces(workspace.stage.pool, *words, only=workspace.id) == []
    assert await traces(workspace.stage.pool, "from bob", only=workspace.id) != []

    newest = await newest_changes(workspace)
    assert newest[f"{workspace.id}:{ada}".encode()] is None
    assert sum(raw is not None for raw in newest.values()) == 1


async def test_rule_2_delete_contacts_is_refused_when_the_count_differs(workspace: Workspace) -> None:
    await workspace.play(workspace.message(at=at(1)), workspace.message(at=at(1), address=phone(1)))
    contact = (await workspace.row("contact_overview", phone=PHONE))["contact_id"]

    assert await delete(workspace, contact, expected_count=2) == "count_differs"
    assert await delete(workspace, all=True, expected_count=1) == "count_differs"
    assert len(await workspace.rows("contact_overview")) == 2
    assert await workspace.rows("deletions") == []
    assert (await delete(workspace, all=True, expected_count=2))["contacts"] == 2
    assert await delete(workspace, all=True, expected_count=0) == {}
    assert await delete(workspace, contact, expected_count=0) == {}
    assert await workspace.rows("contact_overview") == []


async def test_rule_2_commands_about_a_deleted_contact_are_refused(workspace: Workspace) -> None:
    await workspace.play(workspace.message(at=at(1)))
    contact = str((await workspace.row("contact_overview"))["contact_id"])
    await delete(workspace, contact)
    assert await give(workspace, "add_tag", contact_id=contact, tag="x") == "contact_deleted"
    assert await give(workspace, "add_tag", identity=WHATSAPP, tag="x") == "not_found"


async def test_rule_3_1_a_message_older_than_the_deletion_is_dropped_a_later_one_makes_a_new_contact(
    workspace: Workspace,
) -> None:
    await workspace.play(workspace.message(at=at(1)))
    contact = (await workspace.row("contact_overview"))["contact_id"]
    await delete(workspace, contact)
    await workspace.play(workspace.message("late words", at=at(29)), workspace.message("again", at=at(30)))

    [dropped] = await workspace.values("messages.dropped")
    assert (dropped["contact_id"], dropped["reason"]) == (str(contact), "contact_deleted")
    [row] = await workspace.rows("drop_ledger")
    assert (row["contact_id"], row["reason"], row["rule"], row["counted"]) == (contact, "contact_deleted", None, True)
    new = await workspace.row("contact_overview")
    assert new["contact_id"] != contact
    assert [m["content"]["text"] for m in await workspace.rows("conversation_messages")] == ["again"]
    assert await traces(workspace.stage.pool, "late words", only=workspace.id) == []
    release = {"message_ids": [dropped["message_id"]]}
    assert await give(workspace, "release_dropped", contact_id=str(contact), **release) == "contact_deleted"
    assert await give(workspace, "release_dropped", identity=WHATSAPP, **release) == {}


async def test_rule_3_1_messages_that_came_before_the_command_but_are_later_move(workspace: Workspace) -> None:
    await workspace.play(workspace.message("old", at=at(1)), workspace.message("later", at=at(31)))
    contact = (await workspace.row("contact_overview"))["contact_id"]
    await delete(workspace, contact)
    [shown] = await workspace.rows("conversation_messages")
    assert (shown["content"]["text"], shown["contact_id"] == contact) == ("later", False)
    await erased(workspace)
    assert len(await workspace.rows("conversation_messages")) == 1


async def test_rule_2_blocks_and_opt_outs_survive(workspace: Workspace) -> None:
    stopped = phone(1)
    await workspace.play(
        workspace.message(at=at(1)),
        workspace.message("STOP", at=at(1), address=stopped),
        workspace.command("block_contact", identity=WHATSAPP, at=at(5)),
    )
    assert (await delete(workspace, all=True, expected_count=2))["contacts"] == 2
    await erased(workspace)
    await workspace.play(
        workspace.send(at=at(40)),
        workspace.send(at=at(40), to={"address": stopped}),
        workspace.message("hidden", at=at(41)),
        workspace.message("shown", at=at(41), address=stopped),
    )
    reasons = sorted(row["reason"] for row in await workspace.rows("sends"))
    assert reasons == ["contact_blocked", "opted_out"]
    assert [m["content"]["text"] for m in await workspace.rows("conversation_messages")] == ["shown"]
    assert len(await workspace.rows("blocked_contacts")) == 1

    await give(workspace, "unblock_contact", identity=WHATSAPP, issued_at=at(50))
    await workspace.play(workspace.message("START", at=at(51), address=stopped), workspace.message("free", at=at(51)))
    assert await workspace.rows("blocked_contacts") == []
    assert [row["opted_out"] for row in await workspace.rows("contact_channels")] == [False, False]


async def test_rule_5_5_deleting_lowers_no_count(workspace: Workspace) -> None:
    await workspace.play(workspace.message(at=at(1)), workspace.message(at=at(1), address=phone(1)))
    before = [row["active_contacts"] for row in await workspace.rows("mac_counts")]
    await delete(workspace, all=True, expected_count=2)
    await erased(workspace)
    assert [row["active_contacts"] for row in await workspace.rows("mac_counts")] == before
    assert sum(before) == 2
    proofs = await workspace.rows("mac_proofs")
    assert {row["contact_id"] for row in proofs} == {row["contact_id"] for row in await workspace.rows("mac_contacts")}
    assert len(proofs) == 2


async def test_rule_4_nothing_is_sent_to_a_deleted_contact(workspace: Workspace) -> None:
    await workspace.play(workspace.message(at=at(1)))
    contact = str((await workspace.row("contact_overview"))["contact_id"])
    waiting = workspace.send(at=at(2))
    await workspace.play(waiting)
    await delete(workspace, contact)
    claim = "SELECT granted, reason FROM sluice.claim_send($1, $2::uuid, 1)"
    row = await workspace.stage.pool.fetchrow(claim, workspace.id, waiting["send_id"])
    assert (row["granted"], row["reason"]) == (False, "contact_deleted")
    refused = workspace.send(at=at(31), to={"contact_id": contact})
    await workspace.play(refused)
    assert (await workspace.row("sends", send_id=UUID(refused["send_id"])))["reason"] == "contact_deleted"


async def test_rule_2_a_contact_on_another_channel_stays(workspace: Workspace) -> None:
    await workspace.play(workspace.message(at=at(1)), workspace.message(at=at(1), channel="sms"))
    [mine, other] = await workspace.rows("contact_overview")
    await delete(workspace, mine["contact_id"])
    assert [row["contact_id"] for row in await workspace.rows("contact_overview")] == [other["contact_id"]]
    assert whatsapp(PHONE) == WHATSAPP
