"""What the public views show, in words that are equal whenever the same things have happened.

Contacts and conversations get random ids: here they are called by their addresses. What only says when a worker did
something, or how often it was asked, is left out.
"""

import re
from typing import Any, Final
from uuid import UUID

from asyncpg import Pool

World = dict[str, list[tuple[Any, ...]]]

_SHOWN: Final = {
    "audit_log": "workspace_id, actor, command, target, outcome, reason",
    "blocked_contacts": "workspace_id, contact_id, blocked_at, blocked_by",
    "channels": "workspace_id, channel_id, channel, name, default_region, count",
    "companies": "workspace_id, company_id, name, protected",
    "contact_channels": "workspace_id, contact_id, channel, channel_id, address, state, connected_at, opted_out",
    "contact_overview": "workspace_id, contact_id, display_name, first_name, last_name, country, language, email,"
    " phone, assignee, conversation_status, profile_id, tags, custom, blocked",
    "conversation_messages": "workspace_id, contact_id, conversation_id, message_id, direction, channel, channel_id,"
    # until a provider took it, when a message was sent is when a worker made the attempt
    " CASE WHEN status NOT IN ('dispatched', 'failed', 'ambiguous') THEN event_time END, content, status,"
    " bypassed_block",
    "dead_letters": "source_topic, source_partition, source_offset, error, attempts, status",
    "drop_ledger": "workspace_id, contact_id, message_id, channel, event_time, reason, rule, counted",
    "field_definitions": "workspace_id, scope, name, type, options",
    "held_sends": "workspace_id, send_id, group_id, contact_id, profile_id, channel, content, reasons, releasable,"
    " requested_by, requested_at",
    "mac_contacts": "workspace_id, cycle_start, contact_id, first_message_id, first_counted_at",
    "mac_counts": "workspace_id, cycle_start, cycle_end, active_contacts, adjustments, status",
    "merge_history": "workspace_id, merge_id, survivor_id, loser_id, actor, merged_at, undone_at",
    "message_conflicts": "workspace_id, message_id, times",
    "profile_overview": "workspace_id, profile_id, name, status, companies, protected, reasons, fields, notes",
    "profile_statuses": "workspace_id, name, protected",
    "send_confirmations": "workspace_id, send_id, confirmed_by, role, confirmed_at, content_sha256, reasons, outcome",
    "send_attempts": "workspace_id, send_id, attempt, claimed_at IS NOT NULL, status, provider_message_id, error_code,"
    " error_message",
    "send_groups": "workspace_id, group_id, status, sends",
    "sends": "workspace_id, send_id, group_id, contact_id, channel, status, reason, attempt",
    "tags": "workspace_id, tag",
    "workflow_runs": "workspace_id, run_id, workflow_id, contact_id, trigger, state, reason",
    "workspace_settings": "*",
}
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Who was merged away is called by what they brought. The addresses of deleted contacts are gone.
_NAMES: Final = """
SELECT c.contact_id, c.conversation_id, min(i.channel || ':' || i.scope || ':' || i.address) AS name
FROM sluice_core.contacts c
JOIN sluice_core.identities i ON i.workspace_id = c.workspace_id AND coalesce(i.home_id, i.contact_id) = c.contact_id
GROUP BY c.contact_id, c.conversation_id
UNION ALL
SELECT contact_id, contact_id, 'deleted' FROM sluice_core.deleted_contacts
"""


async def world(pool: Pool) -> World:
    """Every view's rows, sorted."""
    names: dict[UUID, str] = {}
    for row in await pool.fetch(_NAMES):
        names |= {row["contact_id"]: row["name"], row["conversation_id"]: row["name"]}
    shown = {}
    for view, columns in _SHOWN.items():
        rows = await pool.fetch(f"SELECT {columns} FROM sluice.{view}")  # noqa: S608 - our own words
        shown[view] = sorted((tuple(_named(value, names) for value in row) for row in rows), key=repr)
    return shown


def _named(value: Any, names: dict[UUID, str]) -> Any:
    if isinstance(value, UUID):
        return names.get(value, value)
    if isinstance(value, str):
        return _ID.sub(lambda found: names.get(UUID(found[0]), found[0]), value)
    return value


def assert_same(shown: World, expected: World) -> None:
    """Raises with the first rows that differ, view by view."""
    wrong = {}
    for view, rows in expected.items():
        if shown[view] != rows:
            missing = [row for row in rows if row not in shown[view]]
            extra = [row for row in shown[view] if row not in rows]
            wrong[view] = {"missing": missing[:3], "extra": extra[:3], "rows": (len(shown[view]), len(rows))}
    assert not wrong, f"the world is not the one without faults: {wrong}"
