"""The public views have exactly the promised columns, in the promised order and types."""

from typing import Final

import asyncpg
import pytest
from asyncpg import Pool

COLUMNS: Final = {
    "mac_counts": "workspace_id cycle_start cycle_end active_contacts adjustments status closed_at revision",
    "mac_contacts": "workspace_id cycle_start contact_id first_message_id first_counted_at",
    "mac_days": "workspace_id cycle_start day active_contacts",
    "mac_accounts": "account workspace_id cycle_start cycle_end active_contacts adjustments status",
    "mac_bounds": "workspace_id cycle_start at_least at_most as_of",
    "mac_adjustments": "adjustment_id workspace_id cycle_start contact_id amount cause at fact_id",
    "mac_proofs": "workspace_id contact_id message_id event_time kind source channel_id counted",
    "settings_in_effect": "workspace_id channel_id name value holds_from",
    "conversation_messages": (
        "workspace_id contact_id conversation_id message_id direction channel channel_id event_time content status"
        " bypassed_block kind source counted"
    ),
    "inbox": "workspace_id contact_id status assignee last_message_at last_direction snoozed_until",
    "inbox_counts": "workspace_id status assignee contacts",
    "drop_ledger": "workspace_id contact_id message_id channel event_time reason rule counted decided_at",
    "message_conflicts": "workspace_id message_id times last_at",
    "blocked_contacts": "workspace_id contact_id blocked_at blocked_by",
    "contact_overview": (
        "workspace_id contact_id display_name avatar_url first_name last_name country language email phone assignee"
        " conversation_status profile_id tags custom blocked"
    ),
    "contact_list": (
        "workspace_id contact_id display_name avatar_url first_name last_name country language email phone assignee"
        " conversation_status profile_id tags custom blocked"
    ),
    "contact_channels": "workspace_id contact_id channel channel_id address state connected_at opted_out",
    "held_sends": (
        "workspace_id send_id group_id contact_id profile_id channel content reasons releasable requested_by"
        " requested_at held_at expires_at"
    ),
    "sends": "workspace_id send_id group_id contact_id channel status reason attempt updated_at",
    "send_groups": "workspace_id group_id status sends",
    "send_attempts": (
        "workspace_id send_id attempt dispatched_at claimed_at status provider_message_id error_code error_message at"
    ),
    "send_confirmations": "workspace_id send_id confirmed_by role confirmed_at content_sha256 reasons outcome",
    "workflow_runs": "workspace_id run_id workflow_id contact_id trigger state reason",
    "profile_moments": (
        "workspace_id profile_id contact_id message_id direction channel event_time content attachments"
    ),
    "profile_overview": (
        "workspace_id profile_id name status companies protected reasons fields notes created_by created_at"
    ),
    "merge_suggestions": "workspace_id contact_ids field value",
    "merge_history": "workspace_id merge_id survivor_id loser_id actor merged_at undone_at",
    "deletions": "workspace_id deletion_id requested_at contacts done finished_at",
    "audit_log": "workspace_id at actor command target outcome reason detail",
    "audit_list": (
        "workspace_id at actor command target outcome reason detail command_id role module issued_at changed"
    ),
    "command_results": "workspace_id command_id command outcome reason detail changed at",
    "dead_letters": "id source_topic source_partition source_offset error first_seen attempts status",
    "partition_progress": "consumer_group topic partition owner next_offset updated_at",
}
CONFIGURED: Final = {
    "channels", "companies", "profile_statuses", "tags", "field_definitions", "workspace_settings",
}  # fmt: skip
OPERATING: Final = {
    *("migrations", "partitions", "workers", "jobs", "backlog", "dead_letter_list", "pending_work", "verifications"),
    *("verification_round", "closing_delays", "counting_again"),
}
"""What the command line reads besides what others were promised."""

LISTS: Final = {
    ("contact_overview", "tags"): "_text",
    ("contact_list", "tags"): "_text",
    ("field_definitions", "options"): "_text",
    ("held_sends", "reasons"): "_text",
    ("send_confirmations", "reasons"): "_text",
    ("profile_overview", "companies"): "_text",
    ("profile_overview", "reasons"): "_text",
    ("merge_suggestions", "contact_ids"): "_uuid",
}
JSON: Final = {
    ("audit_list", "changed"),
    ("conversation_messages", "content"),
    ("contact_overview", "custom"),
    ("contact_list", "custom"),
    ("held_sends", "content"),
    ("profile_moments", "content"),
    ("profile_moments", "attachments"),
    ("profile_overview", "fields"),
    ("profile_overview", "notes"),
    ("settings_in_effect", "value"),
}
BILLING: Final = {
    "mac_counts", "mac_days", "mac_accounts", "mac_bounds", "mac_contacts", "mac_adjustments", "mac_proofs",
    "drop_ledger", "settings_in_effect",
}  # fmt: skip
SENDING: Final = {"held_sends", "sends", "send_groups", "send_attempts", "send_confirmations"}
MOMENTS: Final = {"cycle_start", "cycle_end", "event_time", "expires_at", "first_seen"}
IDS: Final = {"contact_id", "message_id", "conversation_id", "first_message_id", "send_id"}

QUERY: Final = """
    SELECT table_name, column_name, udt_name FROM information_schema.columns
    WHERE table_schema = 'sluice' ORDER BY table_name, ordinal_position
"""


async def columns(pool: Pool) -> dict[str, dict[str, str]]:
    """Columns with their types, by view."""
    found: dict[str, dict[str, str]] = {}
    for view, column, type_ in await pool.fetch(QUERY):
        found.setdefault(view, {})[column] = type_
    return found


async def test_every_view_has_the_promised_columns_in_order(pool: Pool) -> None:
    found = await columns(pool)
    assert found.keys() == (COLUMNS.keys() | CONFIGURED | OPERATING)
    assert {view: " ".join(found[view]) for view in COLUMNS} == dict(COLUMNS)


async def test_columns_are_of_the_promised_kind(pool: Pool) -> None:
    for view, types in (await columns(pool)).items():
        for column, type_ in types.items():
            if (view, column) in LISTS:
                assert type_ == LISTS[view, column]
            elif (view, column) in JSON:
                assert type_ in ("json", "jsonb"), (view, column)
            elif column in MOMENTS or column.endswith("_at") or column in ("at", "as_of", "holds_from"):
                assert type_ == "timestamptz", (view, column)
            elif column in IDS:
                assert type_ == "uuid", (view, column)
            elif column == "workspace_id":
                assert type_ == "text", view


async def test_the_promised_functions_are_there(pool: Pool) -> None:
    rows = await pool.fetch(
        "SELECT proname, proargtypes::regtype[]::text FROM pg_proc WHERE pronamespace = 'sluice'::regnamespace"
    )
    assert {tuple(row) for row in rows} == {
        ("claim_send", "[0:2]={text,uuid,integer}"),
        ("may_send", "[0:3]={text,uuid,text,bytea[]}"),
        ("may_send", "[0:3]={text,text,text,bytea[]}"),
        ("join_senders", "[0:2]={text,uuid,bytea}"),
        ("leave_senders", "[0:1]={text,uuid}"),
        ("dead_letter", "[0:0]={bigint}"),
        ("dead_letter_settle", "[0:1]={bigint,text}"),
        ("impact", "[0:1]={text,jsonb}"),
        ("hold_details", "[0:1]={text,uuid}"),
        ("send_details", "[0:1]={text,uuid}"),
        ("run_details", "[0:1]={text,text}"),
        ("contact_runs", "[0:3]={text,uuid,text,integer}"),
        ("explain_mac", '[0:2]={text,"timestamp with time zone",uuid}'),
        ("verify_workspace", "[0:0]={text}"),
        ("verify_cycles", "[0:0]={text}"),
        ("verify_merges", "[0:0]={text}"),
        ("verify_homes", '[0:2]={text,"timestamp with time zone[]",uuid[]}'),
        ("verify_figures", '[0:1]={text,"timestamp with time zone"}'),
        ("verify_quarters", '[0:2]={text,"timestamp with time zone",integer}'),
        ("verify_contacts", '[0:4]={text,"timestamp with time zone[]",uuid,uuid,integer}'),
        ("verify_until", '[0:3]={text,uuid,"timestamp with time zone[]",integer}'),
        ("conversation_page", '[0:4]={text,uuid,"timestamp with time zone",uuid,integer}'),
        ("profile_page", '[0:4]={text,text,"timestamp with time zone",uuid,integer}'),
        ("search_contacts", "[0:2]={text,text,integer}"),
        ("search_profiles", "[0:2]={text,text,integer}"),
        ("contact_page", "[0:3]={text,text,uuid,integer}"),
        ("contacts_by_name", "[0:3]={text,text,uuid,integer}"),
        ("inbox_page", '[0:5]={text,text,text,"timestamp with time zone",uuid,integer}'),
        ("suggestions_of", "[0:1]={text,uuid}"),
        ("drops_page", '[0:3]={text,"timestamp with time zone",uuid,integer}'),
        ("sends_page", '[0:4]={text,text,"timestamp with time zone",uuid,integer}'),
        ("runs_page", '[0:3]={text,"timestamp with time zone",text,integer}'),
        ("counted_page", '[0:4]={text,"timestamp with time zone","timestamp with time zone",uuid,integer}'),
    }


async def test_billing_reads_billing_and_nothing_else(pool: Pool) -> None:
    for role, expected in (
        ("sluice_billing", BILLING | {"migrations", "verifications", "verification_round", "counting_again"}),
        ("sluice_sender", SENDING),
        ("sluice_reader", (COLUMNS.keys() | CONFIGURED | OPERATING)),
    ):
        rows = await pool.fetch(
            "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'sluice'::regnamespace AND c.relkind = 'v'"
            " AND has_table_privilege($1, c.oid, 'SELECT')",
            role,
        )
        assert {name for (name,) in rows} == expected


async def test_a_sender_claims_asks_and_reads_sends(pool: Pool) -> None:
    query = """
        SELECT DISTINCT p.proname FROM pg_proc p
        WHERE p.pronamespace = 'sluice'::regnamespace AND has_function_privilege('sluice_sender', p.oid, 'EXECUTE')
    """
    assert {name for (name,) in await pool.fetch(query)} == {"claim_send", "may_send", "join_senders", "leave_senders"}
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL ROLE sluice_sender")
        [claimed] = await connection.fetch("SELECT * FROM sluice.claim_send('acme', gen_random_uuid(), 1)")
        assert tuple(claimed) == (False, "unknown_send")
        for asked in ("gen_random_uuid()", "'+4915112345678'::text"):
            await connection.fetch(f"SELECT * FROM sluice.may_send('acme', {asked}, 'sms')")  # noqa: S608
        for view in SENDING:
            await connection.fetch(f"TABLE sluice.{view}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("TABLE sluice.contact_overview")


async def test_billing_may_ask_why_a_contact_counts(pool: Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL ROLE sluice_billing")
        query = "SELECT * FROM sluice.explain_mac('nobody', now(), gen_random_uuid())"
        assert await connection.fetch(query) == []
