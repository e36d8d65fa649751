"""Runs the commands that change something."""

from collections.abc import Sequence
from dataclasses import replace

from workers.app import supervisor
from workers.app.composition import plan_of
from workers.app.database_failures import explained
from workers.app.settings import Settings, load_settings
from workers.app.supervisor import Plan
from workers.errors import ExitCode, SettingsError
from workers.kafka import topics as kafka_topics
from workers.kafka.topics import TopicReport
from workers.records import Partition
from workers.store import migrate
from workers.store.migrate import Foreseen


def work(names: Sequence[str], accepted_bad: Sequence[str] = ()) -> ExitCode:
    """Runs workers until they are told to stop. Returns how they ended. `accepted_bad` are texts
    TOPIC/PARTITION/OFFSET.

    Raises:
        SettingsError: a name is unknown, a text malformed, or a setting is wrong.
    """
    plan = plan_of(names)
    plan = replace(plan, accepted_bad=dict(_accepted(text, plan) for text in accepted_bad))
    settings = load_settings()
    settings.required_database_url()
    settings.kafka()
    return supervisor.main(settings, plan)


def _accepted(text: str, plan: Plan) -> tuple[Partition, int]:
    topic, *numbers = text.split("/")
    if len(numbers) != 2 or not all(number.isascii() and number.isdigit() for number in numbers):
        raise SettingsError(
            f"--accept-bad-until: expected TOPIC/PARTITION/OFFSET, as the halt message names it, got {text!r}; "
            "an offset belongs to one partition"
        )
    consumed = {name for spec in plan.specs for name in spec.decoders}
    if topic not in consumed:
        raise SettingsError(f"--accept-bad-until: {topic} is no topic that these workers consume")
    return Partition(topic, int(numbers[0])), int(numbers[1])


async def migrated(settings: Settings) -> list[str]:
    """Applies pending migrations and returns their names.

    Raises:
        SetupError: a migration cannot be applied, or the database refuses us.
        Unreachable: PostgreSQL does not answer.
    """
    with explained():
        return await migrate.migrate(settings.required_database_url())


async def foreseen_migration(settings: Settings) -> Foreseen:
    """What `migrated` would do. Changes nothing. Raises as it."""
    with explained():
        return await migrate.foreseen(settings.required_database_url())


async def ensure_topics(
    settings: Settings, partitions: int | None = None, replication: int | None = None
) -> TopicReport:
    """Creates and checks the topics. Checks the numbers of existing ones only if they are given.

    Raises:
        SetupError: Kafka refuses.
        Unreachable: Kafka does not answer.
    """
    return await kafka_topics.ensure(settings.kafka(), partitions, replication)
