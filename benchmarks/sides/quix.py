"""Quix Streams with psycopg: a streaming dataframe that calls a function for each message.

At-least-once, as by default: outputs are flushed and offsets committed with a checkpoint every five seconds.
"""

import json
from typing import Any

import psycopg
from quixstreams import Application

from benchmarks.sides.job import (
    COUNT_CONTACT,
    FIND_CONTACT,
    KEEP_MESSAGE,
    MAKE_CONTACT,
    SCHEMA,
    Json,
    identity,
    message_id,
    verdict,
)
from benchmarks.sides.told import Told, consuming, once, told


class Keeper:
    """Stores messages one by one."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._began = once(consuming)

    def __call__(self, message: dict[str, Any]) -> dict[str, Any]:
        self._began()
        id_ = message_id(message)
        workspace_id, sent_at = message["workspace_id"], message["sent_at"]
        with self._connection.transaction(), psycopg.RawCursor(self._connection) as cursor:
            contact_id, blocked = _contact(cursor, message)
            body = json.dumps(message)
            cursor.execute(KEEP_MESSAGE, (id_, workspace_id, contact_id, sent_at, blocked, body))
            if not blocked:
                cursor.execute(COUNT_CONTACT, (workspace_id, sent_at, contact_id, id_))
        return {**verdict(message, id_, contact_id), "dropped": blocked}


def _contact(cursor: Any, message: Json) -> Any:
    found = cursor.execute(FIND_CONTACT, identity(message)).fetchone()
    return found or cursor.execute(MAKE_CONTACT, identity(message)).fetchone()


def run(arguments: Told) -> None:
    """Consumes until the process is ended."""
    app = Application(
        arguments.bootstrap, consumer_group=arguments.group, auto_offset_reset="earliest", auto_create_topics=False
    )
    with psycopg.connect(arguments.database, autocommit=True) as connection:
        connection.execute(SCHEMA)
        judged = app.dataframe(app.topic(arguments.source)).apply(Keeper(connection))
        judged[judged.apply(lambda message: not message["dropped"])].to_topic(app.topic(arguments.accepted))
        judged[judged.apply(lambda message: message["dropped"])].to_topic(app.topic(arguments.dropped))
        app.run()


if __name__ == "__main__":
    run(told())
