"""Reads outputs for tests."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple


class Published(NamedTuple):
    """One output as it stands on its topic. `value` is decoded, None for a tombstone or what is no JSON object."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    raw: bytes | None
    value: Any
    headers: tuple[tuple[str, bytes], ...]

    @property
    def head(self) -> dict[str, str]:
        """The first header of each name, as text."""
        return {name: value.decode(errors="replace") for name, value in reversed(self.headers)}


def published(record: Any, topic_prefix: str) -> Published:
    """An output out of a consumer's record."""
    try:
        value = json.loads(record.value) if record.value else None
    except ValueError:
        value = None
    topic = record.topic.removeprefix(topic_prefix)
    return Published(topic, record.partition, record.offset, record.key, record.value, value, tuple(record.headers))


def named(outputs: Iterable[Published], **equal: Any) -> list[Published]:
    """The outputs whose values have these fields."""
    return [out for out in outputs if out.value is not None and equal.items() <= out.value.items()]
