"""CloudEvents 1.0 headers in binary mode, for every output."""

from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID

import msgspec

_ENCODER = msgspec.json.Encoder()  # the same texts as str() and isoformat(), in a third of the time

Header = tuple[str, bytes]

_CONTENT_TYPE: Header = ("content-type", b"application/json")
_SPEC_VERSION: Header = ("ce_specversion", b"1.0")


def cloud_event_headers(
    topic: str, ce_id: UUID, workspace_id: str, time: datetime, traceparent: bytes | None = None
) -> list[Header]:
    """Headers of one output. `topic` is without prefix, `time` is aware, `traceparent` is an input header's value."""
    headers = [_SPEC_VERSION, ("ce_id", _ENCODER.encode(ce_id)[1:-1]), *_shared(topic, workspace_id, time)]
    if traceparent is not None:
        headers.append(("traceparent", traceparent))
    return headers


@lru_cache(maxsize=4096)
def _shared(topic: str, workspace_id: str, time: datetime) -> tuple[Header, ...]:
    """The headers that all events of one batch, topic and workspace share."""
    return (
        ("ce_type", f"sluice.{topic}".encode()),
        ("ce_source", f"/sluice/{workspace_id}".encode()),
        ("ce_time", _rfc3339(time)),
        _CONTENT_TYPE,
    )


def _rfc3339(time: datetime) -> bytes:
    return _ENCODER.encode(time if time.tzinfo is UTC else time.astimezone(UTC))[1:-1]
