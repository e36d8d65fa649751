"""What the commands that change something do."""

from collections.abc import Sequence
from dataclasses import replace

from workers.errors import ExitCode, SettingsError
from workers.explaining import explained
from workers.plans import plan_of
from workers.runtime import supervisor
from workers.runtime import topics as kafka_topics
from workers.runtime.batch import Source
from workers.runtime.supervisor import Plan
from workers.runtime.topics import Checked
from workers.settings import Settings, load_settings
from workers.store import migrate


def work(names: Sequence[str], accepted_bad: Sequence[str] = ()) -> ExitCode:
    """Run workers until they are told to stop; how they ended. `accepted_bad` are texts TOPIC/PARTITION/OFFSET.

    Raises:
        SettingsError: a name is unknown, a text malformed, or a setting is wrong.
    """
    plan = plan_of(names)
    plan = replace(plan, accepted_bad=dict(_accepted(text, plan) for text in accepted_bad))
    settings = load_settings()
    settings.required_database_url()
    settings.kafka()
    return supervisor.main(settings, plan)


def _accepted(text: str, plan: Plan) -> tuple[Source, int]:
    topic, *numbers = text.split("/")
    if len(numbers) != 2 or not all(number.isascii() and number.isdigit() for number in numbers):
        raise SettingsError(
            f"--accept-bad-until: expected TOPIC/PARTITION/OFFSET, as the line's last words name it, got {text!r}; "
            "an offset means something in one partition only"
        )
    consumed = {name for spec in plan.specs for name in spec.decoders}
    if topic not in consumed:
        raise SettingsError(f"--accept-bad-until: {topic} is no topic that these workers consume")
    return Source(topic, int(numbers[0])), int(numbers[1])


async def migrated(settings: Settings) -> list[str]:
    """The names of the migrations that were applied.

    Raises:
        SetupError: a migration cannot be applied, or the database refuses us.
        Unreachable: PostgreSQL does not answer.
    """
    with explained():
        return await migrate.migrate(settings.required_database_url())


async def topics(settings: Settings, partitions: int, replication: int) -> Checked:
    """Create and check the topics.

    Raises:
        SetupError: Kafka refuses.
        Unreachable: Kafka does not answer.
    """
    return await kafka_topics.ensure(settings.kafka(), partitions, replication)
