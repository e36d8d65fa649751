"""`sluice dev`: everything on one machine."""

from pathlib import Path
from typing import Annotated

import typer

from workers.errors import SettingsError

DataDir = Annotated[Path, typer.Option(help="Where the embedded PostgreSQL keeps its data.")]
EnvFile = Annotated[
    Path | None,
    typer.Option(help="Write the addresses into this file, as SLUICE_… lines, once all workers consume."),
]
External = Annotated[
    bool, typer.Option("--external", help="Use SLUICE_DATABASE_URL and SLUICE_KAFKA_BOOTSTRAP instead.")
]
Channels = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Start a receiver and a sender for the channels of this file."),
]
Simulate = Annotated[
    bool,
    typer.Option("--simulate", help="Start the simulator too, in place of the providers, with phones on its page."),
]


KafkaPort = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="On 127.0.0.1. Default: 9092, or a free port if that is in use."),
]
PostgresPort = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="On 127.0.0.1. Default: 5432, or a free port if that is in use."),
]
ConsolePort = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="On 127.0.0.1. Default: 8080, or a free port if that is in use."),
]
ReceiverPort = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="On 127.0.0.1. Default: 8081, or a free port if that is in use."),
]
SimulatorPort = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="On 127.0.0.1. Default: 8082, or a free port if that is in use."),
]


def dev(  # noqa: PLR0913, PLR0917 - its options
    data_dir: DataDir = Path(".sluice/dev"),
    env_file: EnvFile = None,
    kafka_port: KafkaPort = None,
    postgres_port: PostgresPort = None,
    external: External = False,
    channels: Channels = None,
    simulate: Simulate = False,
    receiver_port: ReceiverPort = None,
    simulator_port: SimulatorPort = None,
    console_port: ConsolePort = None,
) -> None:
    """Run servers and every worker here until Ctrl-C or SIGTERM.

    PostgreSQL keeps its data. The broker lives in memory and starts empty each time, with four partitions a topic.
    Other programs reach both on 127.0.0.1, at the printed addresses. Topics that are not Sluice's are refused. Migrates
    the schema and creates the topics first, also with --external. Serves the console, to a user `dev` that may do
    everything, and prints a link that logs in once. With --simulate secrets of the channels file that
    cannot be read are made up, and without --channels its example in examples/ is used.
    """
    from workers.dev import standalone
    from workers.dev.connectors import Wanted

    wanted = Wanted(channels, simulate, receiver_port, simulator_port)
    if external:
        if kafka_port is not None or postgres_port is not None:
            raise SettingsError("--kafka-port and --postgres-port are for the embedded servers, not for --external")
        raise typer.Exit(standalone.external(env_file, wanted, console_port))
    raise typer.Exit(standalone.embedded(data_dir.resolve(), env_file, kafka_port, postgres_port, wanted, console_port))
