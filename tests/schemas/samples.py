"""Valid records to start from: the golden ones, and one of every command."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from schemas.commands import InvalidCommand
from schemas.decoding import BadRecord
from schemas.sends import InvalidSend
from schemas.topics import INPUTS

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "docs" / "golden"
SCHEMAS = ROOT / "docs" / "schemas"

CONTACT = "0d3f6a52-6f0e-4b0b-9b6e-2f9f6f0c1a01"
OTHER = "1e4a7b63-7a1f-4c1c-8c7f-3aa07a1d2b02"
SEND = "7f9d2c1e-8a44-4d0e-b1c3-5e6f7a8b9c03"
TARGET = {"contact_id": CONTACT}
WRITTEN_TO = {"identity": {"channel": "line", "address": "U4af4980629", "channel_id": "line-1"}}

COMMANDS: dict[str, dict[str, Any]] = {
    "block_contact": {**TARGET, "note": "rude"},
    "unblock_contact": WRITTEN_TO,
    "release_dropped": {**TARGET, "from": "2026-05-01T00:00:00Z", "to": "2026-05-02T00:00:00Z"},
    "create_contact": {**WRITTEN_TO, "set": {"first_name": "Ada", "custom.size": 42}, "tags": ["vip"]},
    "export_contacts": {"filter": {"tag": "vip"}},
    "update_contact": {**TARGET, "set": {"first_name": "Ada", "phone": None, "custom.size": 42}},
    "define_field": {"scope": "contact", "name": "size", "type": "number"},
    "add_tag": {**TARGET, "tag": "vip"},
    "remove_tag": {**TARGET, "tag": "vip"},
    "remove_channel": WRITTEN_TO,
    "merge_contacts": {"survivor_id": CONTACT, "loser_id": OTHER, "choices": {"first_name": "loser"}},
    "undo_merge": {"merge_id": OTHER},
    "delete_contacts": {"contact_ids": [CONTACT, OTHER], "expected_count": 2},
    "open_conversation": TARGET,
    "close_conversation": TARGET,
    "assign_conversation": {**TARGET, "assignee": "u-7"},
    "snooze_conversation": {**TARGET, "until": "2026-05-05T08:00:00+02:00"},
    "comment": {**TARGET, "text": "called back"},
    "create_profile": {"name": "Lovelace Ltd", "fields": {"tier": "gold"}},
    "update_profile": {"profile_id": "p-17", "set": {"name": "Lovelace", "custom.tier": None}},
    "delete_profile": {"profile_id": "p-17"},
    "attach_contact": {**TARGET, "profile_name": "Lovelace"},
    "detach_contact": TARGET,
    "add_note": {"profile_id": "p-17", "text": "prefers e-mail"},
    "edit_note": {"profile_id": "p-17", "note_id": "n-1", "text": "prefers letters"},
    "delete_note": {"profile_id": "p-17", "note_id": "n-1"},
    "define_status": {"name": "partner", "protected": True},
    "define_company": {"company_id": "c-1", "name": "Analytical Engines"},
    "protect_company": {"company_id": "c-1"},
    "unprotect_company": {"company_id": "c-1"},
    "set_profile_status": {"profile_id": "p-17", "status": "partner"},
    "set_profile_companies": {"profile_id": "p-17", "company_ids": ["c-1"]},
    "confirm_send": {"send_id": SEND},
    "reject_send": {"group_id": "spring"},
    "settle_send": {"send_id": SEND, "as": "retry"},
    "configure_workspace": {"set": {"time_zone": "Asia/Kathmandu", "anchor_day": 31, "mac_limit": None}},
    "configure_channel": {"channel_id": "wa-main", "channel": "whatsapp", "default_region": "GB"},
    "close_cycle": {"cycle_start": "2026-05-01T00:00:00Z", "reason": "a partition is lost"},
}


@cache
def _golden_text(topic: str) -> str:
    return (GOLDEN / f"{topic}.json").read_text(encoding="utf-8")


def golden(topic: str) -> dict[str, Any]:
    """The value of a topic's golden record, to be changed freely."""
    value: dict[str, Any] = json.loads(_golden_text(topic))["value"]
    return value


def command(name: str, /, **changes: object) -> dict[str, Any]:
    """A valid command of this name with some fields changed."""
    head = golden("contacts.commands")
    kept = {field: head[field] for field in ("command_id", "workspace_id", "actor", "issued_at")}
    return {**kept, "command": name, **COMMANDS[name], **changes}


def raw(value: object) -> bytes:
    """Compact JSON, non-ASCII as it is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def valid_inputs() -> list[tuple[str, dict[str, Any]]]:
    """(topic, value) of the golden inputs and of every command."""
    records = [(topic.name, golden(topic.name)) for topic in INPUTS]
    return records + [("contacts.commands", command(name)) for name in COMMANDS]


FULL_INPUTS: list[tuple[str, dict[str, Any]]] = [
    (
        "messages.inbound",
        {
            "sender": {
                "address": "+447911123456",
                "name": "Ada",
                "language": "en",
                "avatar_url": "https://x.example/a",
            },
            "content": {
                "type": "image",
                "text": "blue?",
                "subject": "s",
                "html": "<p>",
                "reply_to": "m-1",
                "attachments": [
                    {"kind": "image", "url": "https://x.example", "mime_type": "image/png", "size": 7, "name": "blue"}
                ],
                "template": {"name": "hello", "language": "en", "parameters": ["Ada"]},
            },
            "sent_at": "2026-05-04T09:30:00Z",
            "kind": "message",
            "extra": {"a": 1},
        },
    ),
    (
        "messages.outbound",
        {
            "run_id": "r-1",
            "step_id": "s-1",
            "group_id": "spring",
            "confirmation": {"confirmed_by": "u-2", "confirmed_at": "2026-05-04T09:33:00Z"},
        },
    ),
    ("messages.outbound", {"to": {"address": "+447911123456"}}),
    (
        "messages.receipts",
        {
            "attempt": 1,
            "status": "failed",
            "error": {"code": 131026, "message": "no", "permanent": True, "retry_after_s": 7.5},
            "contact_stopped": True,
        },
    ),
    ("workflows.events", {"parent_run_id": "r-0"}),
    ("workflows.events", {"contact_id": None, **WRITTEN_TO}),
    ("workflows.events", {"event": "step_requested", "step_id": "s-1", "action": "wait"}),
    ("workflows.events", {"event": "run_finished", "outcome": "done"}),
]
FULL_COMMANDS: list[tuple[str, dict[str, Any]]] = [
    ("release_dropped", {"from": None, "to": None, "message_ids": [OTHER]}),
    ("unblock_contact", {"identity": None, **TARGET}),
    ("remove_channel", TARGET),
    ("delete_contacts", {"contact_ids": None, "all": True}),
    ("define_field", {"type": "list", "options": ["s", "m"]}),
    ("create_profile", {"profile_id": "p-1"}),
    ("attach_contact", {"profile_name": None, "profile_id": "p-1"}),
    ("add_note", {"note_id": "n-1"}),
    ("confirm_send", {"send_id": None, "group_id": "spring"}),
    ("reject_send", {"send_id": SEND, "group_id": None}),
    ("configure_channel", {"name": "Main", "count": False}),
    ("block_contact", {"actor": {"id": "u", "role": "manager", "module": "api", "restrictions": ["settings"]}}),
]


def full_inputs() -> list[tuple[str, dict[str, Any]]]:
    """(topic, value) of valid records that together hold every optional field."""
    by_identity = [("contacts.commands", command(name, contact_id=None, **WRITTEN_TO)) for name in targeted()]
    commands = [("contacts.commands", command(name, **changes)) for name, changes in FULL_COMMANDS]
    records = [(topic, {**golden(topic), **changes}) for topic, changes in FULL_INPUTS]
    return [*valid_inputs(), *records, *commands, *by_identity]


def targeted() -> list[str]:
    """The commands whose target may be named by `contact_id` or by `identity`."""
    return [
        name for name, fields in COMMANDS.items() if {*fields} & {"contact_id", "identity"} and name != "remove_channel"
    ]


def refused(decoded: object) -> bool:
    """Did decoding say no, whether or not somebody can be told?"""
    return isinstance(decoded, (BadRecord, InvalidCommand, InvalidSend))
