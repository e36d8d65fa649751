"""What the commands that change something do."""

from collections.abc import Sequence

from workers.errors import ExitCode
from workers.explaining import explained
from workers.plans import plan_of
from workers.runtime import supervisor
from workers.runtime import topics as kafka_topics
from workers.runtime.topics import Checked
from workers.settings import Settings, load_settings
from workers.store import migrate


def work(names: Sequence[str]) -> ExitCode:
    """Run workers until they are told to stop; how they ended.

    Raises:
        SettingsError: a name is unknown, or a setting is wrong.
    """
    settings = load_settings()
    settings.required_database_url()
    settings.kafka()
    return supervisor.main(settings, plan_of(names))


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
