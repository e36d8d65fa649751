"""Contract section 4, rule 6: progress of a send from attempt to attempt, and the effect of receipts."""

from datetime import timedelta
from typing import Final
from uuid import UUID

import msgspec

from schemas.ids import message_id
from tests.acceptance.scenes import at, become, claim, dispatched, moment, pass_time, phone, standing, statuses, told
from tests.acceptance.stage import MISSING, Json, Workspace, now

TEMPORARY: Final[Json] = {"error": {"code": "busy", "permanent": False}}
PERMANENT: Final[Json] = {"error": {"code": "gone", "permanent": True}}


async def sent_to(workspace: Workspace, *numbers: int) -> list[Json]:
    """Sends that wait for receipts."""
    sends = [workspace.send(to={"address": phone(n)}, at=at(n)) for n in numbers]
    await workspace.play_together(*sends)
    return sends


# --- 4.6 status


async def test_rule_4_6_an_attempt_moves_forward_only(workspace: Workspace) -> None:
    orderly, hasty = await sent_to(workspace, 1, 2)
    await workspace.play_together(
        *(workspace.receipt(orderly, status, at=at(n)) for n, status in enumerate(("sent", "delivered", "read"), 20)),
        *(workspace.receipt(hasty, status, at=at(20)) for status in ("read", "sent", "failed", "delivered")),
    )

    assert await statuses(workspace, orderly) == ["dispatched", "sent", "delivered", "read"]
    assert [moment(f["at"]) for f in (await told(workspace, orderly))[1:]] == [at(20), at(21), at(22)]
    assert await statuses(workspace, hasty) == ["dispatched", "read"]
    assert await standing(workspace, hasty) == ("read", None, 1)


async def test_rule_4_6_delivered_and_read_beat_failed_in_any_order(workspace: Workspace) -> None:
    before, after, last = await sent_to(workspace, 1, 2, 3)
    await workspace.play_together(
        workspace.receipt(before, "failed", at=at(21), **PERMANENT),
        workspace.receipt(before, "delivered", at=at(20)),
        workspace.receipt(after, "delivered", at=at(20)),
        workspace.receipt(after, "failed", at=at(21), **PERMANENT),
        workspace.receipt(last, "sent", at=at(20)),
        workspace.receipt(last, "failed", at=at(21), **PERMANENT),
        workspace.receipt(last, "read", at=at(22)),
    )

    assert [(await standing(workspace, s))[0] for s in (before, after, last)] == ["delivered", "delivered", "read"]
    assert await statuses(workspace, before) == ["dispatched", "failed", "delivered"]
    assert await statuses(workspace, after) == ["dispatched", "delivered"]
    assert await statuses(workspace, last) == ["dispatched", "sent", "failed", "read"]


async def test_rule_4_6_a_permanent_failure_is_final(workspace: Workspace) -> None:
    [send] = await sent_to(workspace, 1)
    await workspace.play(workspace.receipt(send, "failed", **PERMANENT))

    assert (await standing(workspace, send))[::2] == ("failed", 1)
    assert await _pause(workspace, send) is None


async def test_rule_4_6_a_failed_attempt_is_repeated_with_growing_pauses_five_times(workspace: Workspace) -> None:
    [send] = await sent_to(workspace, 1)
    pauses = []
    for attempt in range(1, 6):
        await workspace.play(workspace.receipt(send, "failed", attempt=attempt, **TEMPORARY))
        assert (await standing(workspace, send))[::2] == ("failed", attempt)
        pauses.append(await _pause(workspace, send))
        if attempt < 5:
            await pass_time(workspace, send, "retry_at")
            await become(workspace, send, "dispatched")

    assert pauses[-1] is None
    grown = [pause for pause in pauses if pause is not None]
    assert grown == sorted(set(grown))
    assert [fact["attempt"] for fact in await dispatched(workspace, send)] == [1, 2, 3, 4, 5]
    facts = [(fact["status"], fact["attempt"]) for fact in await told(workspace, send)]
    assert facts == [(status, n) for n in range(1, 6) for status in ("dispatched", "failed")]


async def test_rule_4_6_the_send_shows_its_best_attempt(workspace: Workspace) -> None:
    [send] = await sent_to(workspace, 1)
    await workspace.play(workspace.receipt(send, "failed", attempt=1, **TEMPORARY))
    await pass_time(workspace, send, "retry_at")
    await become(workspace, send, "dispatched")
    assert await standing(workspace, send) == ("dispatched", None, 2)

    await workspace.play(workspace.receipt(send, "sent", attempt=2), workspace.receipt(send, "delivered", attempt=1))
    assert await standing(workspace, send) == ("delivered", None, 1)
    await workspace.play(workspace.receipt(send, "read", attempt=2))
    assert await standing(workspace, send) == ("read", None, 2)


async def test_rule_4_6_every_attempt_is_judged_again(workspace: Workspace) -> None:
    [send] = await sent_to(workspace, 1)
    identity = {"channel": "whatsapp", "address": phone(1)}
    await workspace.play(
        workspace.receipt(send, "failed", **TEMPORARY), workspace.command("block_contact", identity=identity)
    )
    await pass_time(workspace, send, "retry_at")
    await become(workspace, send, "refused")

    assert (await standing(workspace, send))[1] == "contact_blocked"
    assert len(await dispatched(workspace, send)) == 1


async def test_rule_4_6_an_ambiguous_send_is_not_repeated_and_a_receipt_settles_it(workspace: Workspace) -> None:
    sent, failed = await sent_to(workspace, 1, 2)
    await workspace.play_together(*(workspace.receipt(send, "ambiguous") for send in (sent, failed)))
    assert [(await standing(workspace, send))[0] for send in (sent, failed)] == ["ambiguous"] * 2
    assert [await _pause(workspace, send) for send in (sent, failed)] == [None, None]

    await workspace.play_together(workspace.receipt(sent, "sent"), workspace.receipt(failed, "failed", **PERMANENT))
    assert await statuses(workspace, sent) == ["dispatched", "ambiguous", "sent"]
    assert await statuses(workspace, failed) == ["dispatched", "ambiguous", "failed"]


async def test_rule_4_6_a_person_settles_an_ambiguous_send(workspace: Workspace) -> None:
    sent, failed, again = await sent_to(workspace, 1, 2, 3)
    await workspace.play_together(*(workspace.receipt(send, "ambiguous") for send in (sent, failed, again)))
    words = ((sent, {"as": "sent"}), (failed, {"as": "failed"}), (again, {"as": "retry"}))
    await workspace.play(*(workspace.command("settle_send", send_id=s["send_id"]) | word for s, word in words))

    assert await statuses(workspace, sent) == ["dispatched", "ambiguous", "sent"]
    assert await statuses(workspace, failed) == ["dispatched", "ambiguous", "failed"]
    assert (await standing(workspace, failed))[1] == "settled"
    await pass_time(workspace, again, "retry_at")
    await become(workspace, again, "dispatched")
    assert [fact["attempt"] for fact in await dispatched(workspace, again)] == [1, 2]
    [count] = await workspace.rows("mac_counts")
    assert count["active_contacts"] == 1


async def test_rule_4_6_receipts_of_attempts_that_nobody_claimed_are_taken(workspace: Workspace) -> None:
    [send] = await sent_to(workspace, 1)
    await workspace.play(workspace.receipt(send, "sent"))

    assert (await standing(workspace, send))[0] == "sent"
    assert (await claim(workspace, send))[0] is False


async def test_rule_4_6_a_receipt_may_name_the_providers_id_alone(workspace: Workspace) -> None:
    [send] = await sent_to(workspace, 1)
    by_provider: Json = {"send_id": MISSING, "provider_message_id": "wamid.1"}
    await workspace.play(
        workspace.receipt(send, "delivered", **by_provider),  # before anybody could know whose id it is
        workspace.receipt(send, "sent", provider_message_id="wamid.1"),
        workspace.receipt(send, "read", **by_provider),
    )

    assert await statuses(workspace, send) == ["dispatched", "sent", "delivered", "read"]


async def test_rule_2_an_echo_and_the_receipt_that_names_its_id_are_one_message(workspace: Workspace) -> None:
    echo_first, named_late = await sent_to(workspace, 1, 2)
    echoes = [
        workspace.message(
            "hello", at=at(20), kind="echo", address=phone(n), provider_message_id=f"wamid.{n}", content=send["content"]
        )
        for n, send in enumerate((echo_first, named_late), 1)
    ]
    await workspace.play(
        echoes[0],
        workspace.receipt(echo_first, "sent", at=at(21), provider_message_id="wamid.1"),
        workspace.receipt(named_late, "sent", at=at(21)),
        echoes[1],
        workspace.receipt(named_late, "delivered", at=at(22), provider_message_id="wamid.2"),
    )

    ids = [message_id(workspace.id, echo_first["channel_id"], "out", f"wamid.{n}") for n in (1, 2)]
    shown = await workspace.rows("conversation_messages")
    assert sorted((row["message_id"], row["kind"], row["status"]) for row in shown) == sorted(
        (ids[n], "send", status) for n, status in enumerate(("sent", "delivered"))
    )
    proofs = await workspace.rows("mac_contacts")
    assert {(row["first_message_id"], row["first_counted_at"]) for row in proofs} == {(id_, at(21)) for id_ in ids}
    assert await workspace.rows("message_conflicts") == []


async def test_rule_4_6_the_provider_may_put_off_the_next_attempt(workspace: Workspace) -> None:
    [send] = await sent_to(workspace, 1)
    error = {"code": "rate", "permanent": False, "retry_after_s": 3_600}
    await workspace.play(workspace.receipt(send, "failed", error=error))

    pause = await _pause(workspace, send)
    assert pause is not None
    assert timedelta(minutes=59) < pause <= timedelta(hours=1)


async def test_rule_4_6_throttled_attempts_do_not_count_towards_the_five(workspace: Workspace) -> None:
    [send] = await sent_to(workspace, 1)
    throttled: Json = {"error": {"code": "429", "permanent": False, "retry_after_s": 3_600}}
    kinds = [throttled, TEMPORARY, TEMPORARY, throttled, TEMPORARY, TEMPORARY, TEMPORARY]
    pauses = []
    for attempt, error in enumerate(kinds, 1):
        receipts = [workspace.receipt(send, "failed", attempt=attempt, **e) for e in (error, TEMPORARY)]
        await workspace.play(*receipts)
        pauses.append(await _pause(workspace, send))
        if attempt < len(kinds):
            await pass_time(workspace, send, "retry_at")
            await become(workspace, send, "dispatched")

    assert pauses[-1] is None
    assert [pause > timedelta(minutes=59) for pause in pauses if pause is not None] == [
        e is throttled for e in kinds[:-1]
    ]
    grown = [pause for pause, e in zip(pauses, kinds, strict=True) if pause is not None and e is TEMPORARY]
    assert grown == sorted(set(grown))
    assert await standing(workspace, send) == ("failed", "busy", len(kinds))


async def test_rule_10_time_runs_out_for_attempts_without_a_claim_and_without_a_receipt(workspace: Workspace) -> None:
    left, late, claimed = await sent_to(workspace, 1, 2, 3)
    assert await claim(workspace, claimed) == (True, None)
    for send in (left, late, claimed):
        await pass_time(workspace, send, "claim_by")
    await become(workspace, left, "failed")
    await become(workspace, claimed, "ambiguous")

    assert await standing(workspace, left) == ("failed", "not_claimed", 1)
    assert await _pause(workspace, left) is None
    assert await claim(workspace, left) == (False, "not_claimed")
    await workspace.play_together(
        workspace.receipt(late, "sent"), workspace.receipt(left, "ambiguous"), workspace.receipt(claimed, "delivered")
    )
    assert await statuses(workspace, late) == ["dispatched", "failed", "sent"]
    assert await statuses(workspace, left) == ["dispatched", "failed"]
    assert await statuses(workspace, claimed) == ["dispatched", "ambiguous", "delivered"]
    attempts = {row["send_id"]: row for row in await workspace.rows("send_attempts")}
    shown = {name: attempts[UUID(send["send_id"])] for name, send in (("left", left), ("claimed", claimed))}
    assert (shown["left"]["status"], shown["left"]["error_code"]) == ("failed", "not_claimed")
    assert (shown["left"]["claimed_at"], shown["claimed"]["status"]) == (None, "delivered")


async def test_rule_4_6_contact_stopped_sets_opted_out(workspace: Workspace) -> None:
    [send] = await sent_to(workspace, 1)
    await workspace.play(workspace.receipt(send, "failed", contact_stopped=True, **PERMANENT))
    [again] = await sent_to(workspace, 1)

    assert (await workspace.row("contact_channels", address=phone(1), channel="whatsapp"))["opted_out"] is True
    assert await standing(workspace, again) == ("refused", "opted_out", 0)


async def test_rule_4_6_a_receipt_for_an_unknown_or_undispatched_send_waits_for_it(workspace: Workspace) -> None:
    await workspace.play(workspace.message(at=at(0)))
    send = workspace.send(at=at(1))
    await workspace.play(workspace.receipt(send, "delivered", at=at(2)), send)

    assert await statuses(workspace, send) == ["dispatched", "delivered"]
    assert await standing(workspace, send) == ("delivered", None, 1)


async def test_rule_4_6_after_a_day_it_is_a_dead_letter(workspace: Workspace) -> None:
    stage, receipt = workspace.stage, workspace.receipt(workspace.send(), "delivered")
    [where] = await stage.publish("messages.receipts", (b"", msgspec.json.encode(receipt)))
    await stage.applied()
    parked = "UPDATE sluice_core.parked_receipts SET parked_at = parked_at - interval '1 day' WHERE workspace_id = $1"
    await stage.pool.execute(parked, workspace.id)
    await stage.pool.execute("UPDATE sluice_core.leases SET last_run_at = NULL WHERE name LIKE '%parked%'")

    async def given_up() -> bool:
        query = "SELECT source_topic, source_partition, source_offset FROM sluice.dead_letters WHERE status = 'new'"
        return ("messages.receipts", *where) in map(tuple, await stage.pool.fetch(query))

    await stage.until(given_up, "the receipt is still parked")


async def _pause(workspace: Workspace, send: Json) -> timedelta | None:
    """How long until the next attempt is due; None: there will be none."""
    due = await workspace.stage.pool.fetchval(
        "SELECT retry_at FROM sluice_core.sends WHERE workspace_id = $1 AND send_id = $2",
        workspace.id,
        UUID(send["send_id"]),
    )
    return None if due is None else due - now()
