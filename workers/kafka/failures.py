"""Failures of Kafka, by what to do about them: the one table from aiokafka's errors to ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from aiokafka import errors as kafka

from workers.errors import SetupError, Unreachable
from workers.kafka.connection import Kafka

AWAY: Final = (kafka.KafkaError, OSError, EOFError)
"""No broker answers, or one answers that it cannot now: try again."""
_FORBIDDEN: Final = (
    *(kafka.TopicAuthorizationFailedError, kafka.GroupAuthorizationFailedError),
    *(kafka.ClusterAuthorizationFailedError, kafka.InvalidTopicError),
)
"""Trying again does not help: a right is missing, or a name is wrong."""
_REFUSED: Final = (*_FORBIDDEN, kafka.SaslAuthenticationFailed, kafka.MessageSizeTooLargeError)
"""The same for a command, which asks once: a worker's login worked at its start, so a refusal may be temporary."""


@contextmanager
def refusals_explained(what: str) -> Iterator[None]:
    """Explains refusals inside the block. `what` is refused.

    Raises:
        SetupError: Kafka refuses for good. Other errors pass.
    """
    try:
        yield
    except kafka.InvalidTopicError as error:
        raise SetupError(f"Kafka refuses {what}: {error!r}") from error
    except _FORBIDDEN as error:
        raise SetupError(
            f"Kafka refuses {what}: {error!r}. `sluice topics --acls` prints the rights of each program"
        ) from error


@contextmanager
def answers_explained(cluster: Kafka) -> Iterator[None]:
    """Explains every failure of a command's question inside the block.

    Raises:
        SetupError: Kafka refuses.
        Unreachable: Kafka does not answer.
    """
    try:
        yield
    except _REFUSED as error:
        raise SetupError(f"Kafka refuses us: {error!r}") from error
    except AWAY as error:
        raise Unreachable(f"Kafka does not answer at SLUICE_KAFKA_BOOTSTRAP ({cluster.bootstrap})") from error
