"""The peers' job, in its simplest correct form: the contact, is it blocked, seen before, the message, the count.

Everything of one message is one transaction. A message that comes again changes nothing, and is published again:
whether it had been published when its consumer crashed, nobody knows. Arguments are numbered as PostgreSQL has it.
"""

from collections.abc import Mapping
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

Json = Mapping[str, Any]

SCHEMA: Final = """
CREATE TABLE contacts (
    workspace_id text,
    channel text,
    address text,
    contact_id uuid NOT NULL DEFAULT gen_random_uuid(),
    blocked boolean NOT NULL DEFAULT false,
    PRIMARY KEY (workspace_id, channel, address)
);
CREATE TABLE messages (
    message_id uuid PRIMARY KEY,
    workspace_id text NOT NULL,
    contact_id uuid NOT NULL,
    sent_at timestamptz NOT NULL,
    dropped boolean NOT NULL,
    body json NOT NULL
);
CREATE INDEX messages_contact ON messages (workspace_id, contact_id, sent_at);
CREATE TABLE active_contacts (
    workspace_id text,
    month date,
    contact_id uuid,
    message_id uuid NOT NULL,
    PRIMARY KEY (workspace_id, month, contact_id)
);
"""

FIND_CONTACT: Final = """
SELECT contact_id, blocked FROM contacts WHERE workspace_id = $1 AND channel = $2 AND address = $3
"""
MAKE_CONTACT: Final = """
INSERT INTO contacts (workspace_id, channel, address) VALUES ($1, $2, $3)
ON CONFLICT (workspace_id, channel, address) DO UPDATE SET address = excluded.address
RETURNING contact_id, blocked
"""
KEEP_MESSAGE: Final = """
INSERT INTO messages (message_id, workspace_id, contact_id, sent_at, dropped, body)
VALUES ($1, $2, $3, $4::text::timestamptz, $5, $6::text::json) ON CONFLICT DO NOTHING
"""
COUNT_CONTACT: Final = """
INSERT INTO active_contacts (workspace_id, month, contact_id, message_id)
VALUES ($1, date_trunc('month', $2::text::timestamptz AT TIME ZONE 'UTC')::date, $3, $4) ON CONFLICT DO NOTHING
"""


def identity(message: Json) -> tuple[str, str, str]:
    """What a contact is found by."""
    return message["workspace_id"], message["channel"], message["sender"]["address"]


def message_id(message: Json) -> UUID:
    """The same for every delivery of a message."""
    name = f"{message['workspace_id']}\0{message['channel_id']}\0in\0{message['provider_message_id']}"
    return uuid5(NAMESPACE_URL, name)


def verdict(message: Json, id_: UUID, contact_id: UUID) -> dict[str, Any]:
    """What is published."""
    return {**message, "message_id": str(id_), "contact_id": str(contact_id), "event_time": message["sent_at"]}
