"""The reference sender: it gives what `sends.dispatch` tells to a provider over HTTP, and reports what became of it.

For each record, in this order: claim, provider, receipt, commit. Whatever crashes between two of these, nothing is sent
twice: an attempt is claimed once. What may have been sent before a crash is reported as `ambiguous`.
"""

import asyncio
import http.client
import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

Json = dict[str, Any]

PROVIDER_S = 10.0
SESSION_MS = 10_000
CLAIM: Final = "SELECT granted, reason FROM sluice.claim_send($1, $2, $3)"
TRY_AGAIN: Final = {408, 425, 429, 503}
"""The provider did not take the message, and may take it later."""


async def work(database: str, bootstrap: str, provider: str, prefix: str = "") -> None:
    """Sends until it is cancelled. More processes share the partitions.

    Raises:
        Exception: PostgreSQL or Kafka fails. Start it again: the record was not committed.
    """
    consumer = AIOKafkaConsumer(
        f"{prefix}sends.dispatch",
        bootstrap_servers=bootstrap,
        group_id=f"{prefix}example-sender",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        session_timeout_ms=SESSION_MS,
        heartbeat_interval_ms=SESSION_MS // 3,
    )
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True)
    async with asyncpg.create_pool(database, min_size=1, max_size=1) as pool, producer, consumer:
        async for record in consumer:
            send = json.loads(record.value)
            outcome = await attempt(pool, provider, send)
            if outcome is not None:
                await producer.send_and_wait(f"{prefix}messages.receipts", *receipt(send, outcome))
            # Where the partition went to another process meanwhile, that one is denied the claim.
            with suppress(CommitFailedError, IllegalStateError):
                await consumer.commit({TopicPartition(record.topic, record.partition): record.offset + 1})


async def attempt(pool: Any, provider: str, send: Json) -> Json | None:
    """What became of an attempt, as fields of a receipt; None if there is nothing to report."""
    while True:
        # A statement of its own: the claim is committed before the provider is called.
        claim = await pool.fetchrow(CLAIM, send["workspace_id"], UUID(send["send_id"]), send["attempt"])
        if claim["granted"]:
            return await asyncio.to_thread(call, provider, send)
        if claim["reason"] == "already_claimed":
            # A process that crashed may have sent it. If it was sent, its receipt wins over this one.
            return {"status": "ambiguous", "error": {"code": "already_claimed"}}
        if claim["reason"] != "contact_changed":
            return None  # it must not be sent: `sends.status` says why
        await asyncio.sleep(0.1)


def call(provider: str, send: Json) -> Json:
    """Gives the message to the provider. Returns fields of a receipt, whatever happens."""
    url = urlsplit(provider)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.netloc, timeout=PROVIDER_S)
    key = f"{send['send_id']}:{send['attempt']}"
    body = json.dumps({"to": send["address"], "content": send["content"]}).encode()
    try:
        connection.connect()
    except OSError as error:
        return failed("unreachable", str(error))
    try:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        connection.request("POST", url.path or "/", body, headers)
        answer = connection.getresponse()
        return judged(answer.status, answer.getheader("Retry-After"), answer.read(65_536))
    except (OSError, http.client.HTTPException) as error:
        return {"status": "ambiguous", "error": {"code": "no_answer", "message": repr(error)}}
    finally:
        connection.close()


def judged(status: int, retry_after: str | None, body: bytes) -> Json:
    """What an HTTP answer means, as fields of a receipt."""
    text = body[:500].decode(errors="replace").replace("\0", "")  # a receipt with NUL cannot be read
    if status < 300:
        return {"status": "sent"} | provider_id(body)
    if status in TRY_AGAIN:
        return failed(str(status), text, retry_after_s=seconds(retry_after))
    if status >= 500:  # it had the message when it failed
        return {"status": "ambiguous", "error": {"code": str(status), "message": text}}
    return failed(str(status), text, permanent=True)


def provider_id(body: bytes) -> Json:
    """The provider's id as a field of a receipt; nothing where it is none that a receipt can have."""
    try:
        given = json.loads(body)["id"]
        named = str(given) if type(given) in (str, int) else ""
        fits = 0 < len(named.encode()) <= 512 and "\0" not in named
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return {"provider_message_id": named} if fits else {}


def failed(code: str, message: str, *, permanent: bool = False, retry_after_s: float | None = None) -> Json:
    error: Json = {"code": code, "message": message, "permanent": permanent}
    if retry_after_s is not None:
        error["retry_after_s"] = retry_after_s
    return {"status": "failed", "error": error}


def seconds(retry_after: str | None) -> float | None:
    """`Retry-After` is a number of seconds or a date."""
    if retry_after is None or retry_after.isdecimal():
        return None if retry_after is None else min(float(retry_after), 86_400.0)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def receipt(send: Json, outcome: Json) -> tuple[bytes, bytes]:
    """Value and key of a record of `messages.receipts`."""
    about = {name: send[name] for name in ("workspace_id", "channel_id", "send_id", "attempt")}
    value = about | {"at": datetime.now(UTC).isoformat()} | outcome
    return json.dumps(value).encode(), f"{send['workspace_id']}:{send['send_id']}".encode()


if __name__ == "__main__":
    told = os.environ
    servers = told["SLUICE_DATABASE_URL"], told["SLUICE_KAFKA_BOOTSTRAP"]
    asyncio.run(work(*servers, told["PROVIDER_URL"], told.get("SLUICE_TOPIC_PREFIX", "")))
