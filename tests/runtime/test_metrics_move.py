"""Each metric moves when its cause happens on the running system: all workers, a real database, a broker."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from asyncpg import Pool
from prometheus_client import REGISTRY

from schemas.topics import TOPICS
from tests.acceptance.making import PHONE, WHATSAPP, Json, Maker, now, wire
from tests.support.brokers import Broker
from tests.support.databases import until
from tests.support.metrics import Growth, value
from tests.support.metrics import until as shown
from tests.support.processes import at_work, hurried
from workers.app.composition import ALL, plan_of
from workers.app.supervisor import Plan

MAKER = Maker("acme")
OTHER = "+4915187654321"
INPUTS = ("messages.inbound", "messages.outbound", "messages.receipts", "contacts.commands", "workflows.events")


def plan() -> Plan:
    return replace(hurried(plan_of([ALL]), 0.3), repaired=())


async def play(broker: Broker, pool: Pool, *facts: Json) -> None:
    """Each applied before the next."""
    for fact in facts:
        made = wire(fact)
        await broker.produce(made.topic, [(made.key, made.value)])
        await broker.caught_up(pool, made.topic)


def protected() -> Sequence[Json]:
    """What makes a person of the usual number one whose sends wait."""
    return (
        MAKER.message(),
        MAKER.command("define_status", name="vip", protected=True),
        MAKER.command("create_profile", profile_id="p", name="p"),
        MAKER.command("set_profile_status", profile_id="p", status="vip"),
        MAKER.command("attach_contact", identity=WHATSAPP, profile_id="p"),
    )


async def test_verdicts_are_counted_by_worker_topic_and_reason(database: str, pool: Pool, broker: Broker) -> None:
    growth = Growth()

    def verdicts(worker: str, topic: str, verdict: str, reason: str = "none") -> float:
        labels = {"worker": worker, "topic": topic, "verdict": verdict, "reason": reason}
        return growth.of("sluice_verdicts_total", **labels)

    known = MAKER.message("first", address=OTHER)
    async with at_work(database, broker, plan()):
        held, sent = MAKER.send(), MAKER.send(to={"address": OTHER})
        earlier = now() - timedelta(hours=2)
        block = MAKER.command("block_contact", identity=WHATSAPP | {"address": OTHER}, at=now() - timedelta(hours=1))
        await play(broker, pool, known, known, known | {"content": {"type": "text", "text": "another"}})
        await play(broker, pool, *protected(), held, sent)
        failed = {"code": "a provider's own word", "permanent": True}
        await play(broker, pool, MAKER.receipt(sent, "failed", attempt=1, error=failed))
        await play(
            broker, pool, MAKER.event("run_started", "r", at=earlier, identity=WHATSAPP | {"address": OTHER}), block
        )
        await play(
            broker, pool, MAKER.message(address=OTHER), MAKER.command("close_conversation", contact_id=sent["send_id"])
        )
    assert verdicts("inbound", "messages.accepted", "accepted") == 2
    assert verdicts("inbound", "messages.dropped", "dropped", "contact_blocked") == 1
    assert verdicts("outbound", "sends.status", "held") == 1
    assert verdicts("outbound", "sends.status", "dispatched") == 1
    assert verdicts("outbound", "sends.status", "failed", "other") == 1
    assert verdicts("commands", "workflows.control", "run_halted", "contact_blocked") == 1
    assert verdicts("commands", "commands.results", "done") == 5
    assert verdicts("commands", "commands.results", "refused", "not_found") == 1
    assert growth.of("sluice_late_revisions_total", worker="commands", reason="late_block") == 1
    assert growth.of("sluice_message_conflicts_total", worker="inbound") == 1


async def test_the_path_of_a_batch_is_measured(database: str, pool: Pool, broker: Broker) -> None:
    growth = Growth()
    async with at_work(database, broker, plan()):
        made = [wire(MAKER.message(f"{n}")) for n in range(20)]
        await broker.produce("messages.inbound", [(one.key, one.value) for one in made])
        await broker.caught_up(pool, "messages.inbound")
        await shown(lambda: growth.of("sluice_offset_commit_seconds_count", worker="inbound") > 0)
        await shown(lambda: value("sluice_lag_seconds", topic="messages.inbound", partition=0) == 0)
    assert growth.of("sluice_batch_records_sum", worker="inbound") == 20
    for stage in ("poll", "decode", "transaction", "publication", "offset_commit"):
        assert growth.of(f"sluice_{stage}_seconds_count", worker="inbound") > 0, stage
    assert growth.of("sluice_rebalances_total", worker="inbound") >= 1


async def test_the_state_of_the_installation_is_measured_by_one_process(
    database: str, pool: Pool, broker: Broker
) -> None:
    async with at_work(database, broker, plan()):
        await shown(lambda: value("sluice_holds_open") == 0)
        assert value("sluice_unpublished_oldest_seconds") == 0
        assert value("sluice_closing_delay_seconds") == 0
        held, sent = MAKER.send(), MAKER.send(to={"address": OTHER})
        await play(broker, pool, *protected(), held, MAKER.message(address=OTHER), sent)
        await play(broker, pool, MAKER.receipt(sent, "ambiguous", attempt=1))
        await play(broker, pool, MAKER.receipt(MAKER.send(), "sent"))
        await play(broker, pool, MAKER.command("block_contact", identity=WHATSAPP | {"address": "+4915100000001"}))
        await play(broker, pool, MAKER.message(address="+4915100000001"))
        await broker.produce("messages.inbound", [(b"acme:x", b'{"workspace_id": "acme", "sender": 1}')])
        await broker.produce("messages.inbound", [(b"acme:x", b"no JSON"), (b"acme:x", b"{}"), (b"acme:x", b"\xff")])
        await shown(lambda: value("sluice_quarantine_messages") == 1)
        await shown(lambda: value("sluice_dead_letters_new", topic="messages.inbound", reason="malformed") == 1)
        assert value("sluice_holds_open") == 1
        assert 0 < (value("sluice_holds_oldest_seconds") or 0) < 60
        assert value("sluice_sends_ambiguous") == 1
        assert value("sluice_parked_receipts") == 1
        assert value("sluice_dead_letters_new", topic="messages.inbound", reason="sender") == 1
        assert value("sluice_dead_letters_new", topic="messages.inbound", reason="workspace_id") == 1
        assert value("sluice_dead_letters_new", topic="messages.inbound", reason="other") == 1
        assert 0 < (value("sluice_dead_letters_oldest_seconds", topic="messages.inbound", reason="sender") or 0) < 60
        assert [value("sluice_partitions_without_worker", topic=topic) for topic in INPUTS] == [0] * 5
        assert [value("sluice_unread_records", topic=topic) for topic in INPUTS] == [0] * 5
        await shown(lambda: value("sluice_mac_verified_timestamp_seconds") is not None)
        assert (value("sluice_mac_differences"), value("sluice_mac_workspaces_differing")) == (0, 0)
        await pool.execute("INSERT INTO sluice_core.verifications VALUES ('another', now(), 3, NULL, '[]')")
        await shown(lambda: value("sluice_mac_differences") == 3)
        assert value("sluice_mac_workspaces_differing") == 1


async def test_outputs_and_work_that_wait_are_shown_with_the_age_of_the_oldest(
    database: str, pool: Pool, broker: Broker
) -> None:
    only = plan_of(["upkeep"])
    jobs = [job for job in only.jobs if job.name == "measure the state"]
    await pool.execute("""
        INSERT INTO sluice_core.outbox (topic, key, value, ce_id, workspace_id, time, stored_at)
        VALUES ('sends.status', '', '', gen_random_uuid(), 'acme', now(), now() - interval '100 s');
        INSERT INTO sluice_core.batch_outbox (topic, partition, next_offset, events, stored_at)
        VALUES ('messages.inbound', 0, 7, '', now() - interval '200 s');
        INSERT INTO sluice_core.pending_work (workspace_id, kind, subject, command_id, total, asked_at)
        VALUES ('acme', 'move messages', '', gen_random_uuid(), 1, now() - interval '300 s');
        INSERT INTO sluice_core.input_ends (topic, partition, end_offset, read_at)
        VALUES ('messages.inbound', 0, 7, now()), ('messages.inbound', 1, 5, now()), ('messages.receipts', 0, 0, now());
        INSERT INTO sluice_core.progress (topic, partition, consumer_group, generation, next_offset)
        VALUES ('messages.inbound', 0, 'sluice-inbound', 1, 6)
    """)
    async with at_work(database, broker, hurried(replace(only, jobs=jobs, repaired=(), publishes=False), 0.3)):
        await shown(lambda: (value("sluice_unpublished_oldest_seconds") or 0) >= 200)
        assert value("sluice_unpublished_rows", kind="batches") == 1
        assert value("sluice_unpublished_rows", kind="events") == 1
        assert value("sluice_unpublished_rows", kind="contacts") == 0
        assert value("sluice_pending_work", kind="move messages") == 1
        assert 300 <= (value("sluice_pending_work_oldest_seconds", kind="move messages") or 0) < 400
        assert value("sluice_unread_records", topic="messages.inbound") == 6
        assert value("sluice_partitions_without_worker", topic="messages.inbound") == 2
        assert (value("sluice_state_measured_timestamp_seconds") or 0) > 0
        await pool.execute("UPDATE sluice_core.input_ends SET read_at = now() - interval '2 minutes'")
        await shown(lambda: value("sluice_unread_records", topic="messages.inbound") is None)
        await pool.execute("DELETE FROM sluice_core.batch_outbox")
        await shown(lambda: 100 <= (value("sluice_unpublished_oldest_seconds") or 0) < 200)


async def test_no_label_shows_a_person_or_a_workspace(database: str, pool: Pool, broker: Broker) -> None:
    async with at_work(database, broker, plan()):
        await play(broker, pool, MAKER.message(), MAKER.message(address="not a number"), *protected())
        await until(pool, "SELECT count(*) > 0 FROM sluice.contact_overview")
        labels = {text for family in REGISTRY.collect() for sample in family.samples for text in sample.labels.values()}
    topics = {name for name in TOPICS if "acme" not in name}
    assert topics & labels
    assert not [text for text in labels if "acme" in text or PHONE in text or "not a number" in text]
