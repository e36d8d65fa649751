"""Sluice, every rule on: what `sluice worker NAME…` runs, with the settings it has by default."""

import sys
from secrets import token_hex

from benchmarks.sides.told import Told, consuming, told
from workers.app import supervisor
from workers.app.composition import plan_of
from workers.app.settings import load_settings
from workers.app.supervisor import Plan


def main() -> int:
    """Works until SIGTERM; the workers' names are the side's own arguments."""
    arguments = told()
    return work(arguments, plan_of(arguments.more))


def work(arguments: Told, plan: Plan) -> int:
    """Runs the plan as a process of its own would; the exit code."""
    settings = load_settings(
        database_url=arguments.database,
        kafka_bootstrap=arguments.bootstrap,
        topic_prefix=arguments.prefix,
        group_prefix=arguments.group,
        log_level="error",
        hash_key=token_hex(32) if "upkeep" in arguments.more else None,  # deletions need one
    )
    return supervisor.main(settings, plan, ready=consuming)


if __name__ == "__main__":
    sys.exit(main())
