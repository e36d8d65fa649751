"""A Kafka broker without installing one: librdkafka's mock cluster, in this process and in memory.

It speaks consumer groups and the idempotent producer. Topics come into being with four partitions when first asked for;
nothing is kept when it ends; and it silently drops a partition's oldest sets beyond 5 MiB or 100,000 sets.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from workers.errors import SetupError

PARTITIONS: Final = 4
UNREAD_LIMIT_BYTES: Final = 4 * 1024 * 1024
"""How much of a partition may be unread before a producer has to wait."""


@contextmanager
def embedded_broker() -> Iterator[str]:
    """Runs a broker and yields its bootstrap address; it ends with the context. Needs the extra `embedded`.

    Raises:
        SetupError: the extra is not installed.
    """
    owner = _owner()
    metadata = owner.list_topics(timeout=10)
    yield ",".join(f"{broker.host}:{broker.port}" for broker in metadata.brokers.values())
    del owner


def _owner() -> Any:
    # The mock cluster lives as long as the client that asked for it.
    try:
        from confluent_kafka import Producer  # noqa: PLC0415 - an extra; only who wants it pays for it
    except ImportError as error:
        raise SetupError("the embedded broker is not installed: pip install 'sluice[embedded]'") from error
    return Producer({"test.mock.num.brokers": 1, "log_level": 0, "bootstrap.servers": ""})
