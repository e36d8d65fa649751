"""confluent-kafka and psycopg with a batch loop by hand: what one writes who has measured.

A poll of 500 is one transaction of four statements; then all is produced and flushed, then offsets are committed.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

import psycopg
from confluent_kafka import Consumer, Producer

from benchmarks.sides.job import SCHEMA, Json, identity, message_id, verdict
from benchmarks.sides.told import Told, consuming, told

POLL: Final = 500

_MAKE_CONTACTS: Final = """
INSERT INTO contacts (workspace_id, channel, address)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[]) ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING
"""
_FIND_CONTACTS: Final = """
SELECT workspace_id, channel, address, contact_id, blocked FROM contacts
JOIN unnest(%s::text[], %s::text[], %s::text[]) AS wanted (workspace_id, channel, address)
USING (workspace_id, channel, address)
"""
_KEEP_MESSAGES: Final = """
INSERT INTO messages (message_id, workspace_id, contact_id, sent_at, dropped, body)
SELECT * FROM unnest(%s::uuid[], %s::text[], %s::uuid[], %s::timestamptz[], %s::boolean[], %s::json[])
ON CONFLICT DO NOTHING
"""
_COUNT_CONTACTS: Final = """
INSERT INTO active_contacts (workspace_id, month, contact_id, message_id)
SELECT workspace_id, date_trunc('month', sent_at AT TIME ZONE 'UTC')::date, contact_id, message_id
FROM unnest(%s::uuid[], %s::text[], %s::uuid[], %s::timestamptz[], %s::boolean[])
    AS new (message_id, workspace_id, contact_id, sent_at, dropped)
WHERE NOT dropped ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING
"""


def run(arguments: Told) -> None:
    """Consumes until the process is ended."""
    consumer = Consumer(
        {
            "bootstrap.servers": arguments.bootstrap,
            "group.id": arguments.group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    producer = Producer({"bootstrap.servers": arguments.bootstrap, "enable.idempotence": True, "linger.ms": 5})
    with psycopg.connect(arguments.database, autocommit=True) as connection:
        connection.execute(SCHEMA)
        consumer.subscribe([arguments.source], on_assign=lambda *_: consuming())
        while True:
            records = consumer.consume(POLL, timeout=0.2)
            for record in records:
                if record.error():
                    raise RuntimeError(record.error())
            if records:
                _handle(arguments, connection, producer, records)
                consumer.commit(asynchronous=False)


def _handle(arguments: Told, connection: Any, producer: Producer, records: Sequence[Any]) -> None:
    messages: list[Json] = [json.loads(record.value()) for record in records]
    contacts = [identity(message) for message in messages]
    distinct = _columns(list(set(contacts)))
    with connection.transaction():
        connection.execute(_MAKE_CONTACTS, distinct)
        found = {(w, c, a): (id_, blocked) for w, c, a, id_, blocked in connection.execute(_FIND_CONTACTS, distinct)}
        rows = [
            (message_id(m), m["workspace_id"], *_owner(found[who], m), record.value().decode())
            for m, who, record in zip(messages, contacts, records, strict=True)
        ]
        columns = _columns(rows)
        connection.execute(_KEEP_MESSAGES, columns)
        connection.execute(_COUNT_CONTACTS, columns[:5])
    for message, row, record in zip(messages, rows, records, strict=True):
        topic = arguments.dropped if row[4] else arguments.accepted
        producer.produce(topic, json.dumps(verdict(message, row[0], row[2])), record.key())
        producer.poll(0)
    if producer.flush():
        raise RuntimeError("Kafka did not take everything")


def _owner(contact: tuple[Any, bool], message: Json) -> tuple[Any, str, bool]:
    contact_id, blocked = contact
    return contact_id, message["sent_at"], blocked


def _columns(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


if __name__ == "__main__":
    run(told())
