"""What the public views show of a workspace, in the reference model's words."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from asyncpg import Pool

from tests.acceptance.people import person_of
from tests.reference import Dropped, Shown, World
from tests.reference_customers import Profile
from tests.reference_people import OWN
from tests.support.documented import statement
from workers.records import Event

VALUES: Final = """
    SELECT c.cycle_start, n.name, s.value
    FROM sluice.mac_counts c
    CROSS JOIN unnest(array['time_zone', 'anchor_day', 'mac_block_effect', 'count_reactions']) AS n (name)
    CROSS JOIN LATERAL (
        SELECT s.value FROM sluice.settings_in_effect s
        WHERE s.workspace_id = c.workspace_id AND s.channel_id IS NULL AND s.name = n.name
            AND s.holds_from <= c.cycle_start
        ORDER BY s.holds_from DESC LIMIT 1
    ) AS s
"""


async def persons(pool: Pool, workspace_id: str) -> dict[UUID, str]:
    """Contacts by who they are."""
    rows = await pool.fetch(
        "SELECT contact_id, channel, scope, address FROM sluice_core.identities WHERE workspace_id = $1", workspace_id
    )
    return {contact_id: person_of(*identity) for contact_id, *identity in rows}


async def seen(pool: Pool, workspace_id: str) -> World:
    """The workspace as the views show it."""
    who = await persons(pool, workspace_id)

    async def rows(query: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await pool.fetch(f"{query} WHERE workspace_id = $1", workspace_id)]

    shown = await rows(
        "SELECT message_id, contact_id, direction, channel_id, event_time, content ->> 'text', bypassed_block"
        " FROM (SELECT * FROM sluice.conversation_messages WHERE kind <> 'comment') m"
    )
    comments = await rows(
        "SELECT message_id, contact_id, event_time, content ->> 'text'"
        " FROM (SELECT * FROM sluice.conversation_messages WHERE kind = 'comment') m"
    )
    dropped = await rows(
        "SELECT message_id, contact_id, channel, event_time, reason, rule, counted FROM sluice.drop_ledger"
    )
    blocked = await rows("SELECT contact_id, blocked_at, blocked_by FROM sluice.blocked_contacts")
    contacts = await rows("SELECT contact_id, conversation_status, display_name FROM sluice.contact_overview")
    written = await rows(
        "SELECT contact_id, profile_id, tags, custom, first_name, last_name, country, language, email, phone, assignee"
        " FROM sluice.contact_overview"
    )
    counts = await rows("SELECT cycle_start, cycle_end, active_contacts + adjustments AS active FROM sluice.mac_counts")
    proofs = await rows("SELECT cycle_start, contact_id, first_counted_at, first_message_id FROM sluice.mac_contacts")
    values = await rows(VALUES)
    channels = await rows("SELECT contact_id, opted_out, connected_at FROM sluice.contact_channels")
    runs = await rows("SELECT run_id, contact_id, trigger, state, reason FROM sluice.workflow_runs")
    return World(
        shown={id_: Shown(who[contact], *rest) for id_, contact, *rest in shown},
        dropped={id_: Dropped(who[contact], *rest) for id_, contact, *rest in dropped},
        blocked={who[contact]: (at, by) for contact, at, by in blocked},
        statuses={who[contact]: status for contact, status, _ in contacts},
        names={who[contact]: name for contact, _, name in contacts},
        opted_out={who[contact] for contact, out, _ in channels if out},
        connected={who[contact]: at for contact, _, at in channels if at is not None},
        counts={start: (end, active) for start, end, active in counts},
        values={(start, name): msgspec.json.decode(value) for start, name, value in values},
        proofs={(start, who[contact]): (at, id_) for start, contact, at, id_ in proofs},
        details={who[contact]: _details(custom, own) for contact, _, _, custom, *own in written},
        tags={who[contact]: tags for contact, _, tags, *_ in written},
        comments={id_: (who[contact], at, text) for id_, contact, at, text in comments},
        profile_of={who[contact]: profile for contact, profile, *_ in written if profile is not None},
        profiles=await _profiles(pool, workspace_id),
        options=await _options(pool, workspace_id),
        runs={run_id: (who[contact], trigger, state, reason) for run_id, contact, trigger, state, reason in runs},
    )


def _details(custom: str, own: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(OWN, own, strict=True)) | {"custom": msgspec.json.decode(custom)}


async def _profiles(pool: Pool, workspace_id: str) -> dict[str, Profile]:
    query = """
        SELECT profile_id, name, status, companies, protected, reasons, fields, notes
        FROM sluice.profile_overview WHERE workspace_id = $1
    """
    found = {}
    for id_, name, status, companies, protected, reasons, fields, notes in await pool.fetch(query, workspace_id):
        texts = {note["note_id"]: note["text"] for note in msgspec.json.decode(notes)}
        own = msgspec.json.decode(fields)
        found[id_] = Profile(name, status, companies, protected, reasons, own, texts)
    return found


async def _options(pool: Pool, workspace_id: str) -> dict[str, list[str]]:
    query = """
        SELECT name, options FROM sluice.field_definitions
        WHERE workspace_id = $1 AND scope = 'contact' AND type = 'list'
    """
    return {row["name"]: row["options"] for row in await pool.fetch(query, workspace_id)}


async def counted_again(pool: Pool, workspace_id: str) -> dict[datetime, int]:
    """Active contacts by cycle, as a billing job counts them: by the SQL of the docs, as sluice_billing."""
    count = statement("billing.md", "Count again").replace("'acme'", "$1")
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL ROLE sluice_billing")
        return {start: active for _, start, active in await connection.fetch(count, workspace_id)}


def told(facts: Iterable[Event]) -> tuple[dict[UUID, str], dict[str, list[dict[str, Any]]]]:
    """What a reader of the topics believes: the newest verdict of each message, and what each run's engine heard."""
    verdicts: dict[UUID, tuple[int, str]] = {}
    heard: dict[str, list[dict[str, Any]]] = {}
    for fact in facts:
        topic, value = fact.topic, msgspec.json.decode(fact.value or b"")
        if topic in ("messages.accepted", "messages.dropped", "messages.revised"):
            verdict = value["to"] if topic == "messages.revised" else topic.removeprefix("messages.")
            id_ = UUID(value["message_id"])
            verdicts[id_] = max(verdicts.get(id_, (0, "")), (value.get("revision", 1), verdict))
        elif topic == "workflows.control":
            heard.setdefault(value["run_id"], []).append(value)
    return {id_: verdict for id_, (_, verdict) in verdicts.items()}, heard
