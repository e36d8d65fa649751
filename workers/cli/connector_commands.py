"""`sluice receive`, `send`, `simulate` and `channels`: the connectors."""

from typing import Annotated, Final

import typer

from workers.cli.terminal import AsJson, settings

channels: Final = typer.Typer(
    no_args_is_help=True,
    help="Look at the channels of SLUICE_CHANNELS_FILE, and map again what was not understood.",
)

Host = Annotated[str, typer.Option("--host", help="Address to listen at. Beyond this machine, let a proxy speak TLS.")]

Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen at; 0 takes a free one.")]


def receive(
    host: Host = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to listen at; 0 takes a free one.")
    ] = 8081,
) -> None:
    """Receive webhooks and mails of the channels file, until SIGTERM.

    POST /webhooks/{workspace_id}/{channel_id}, and GET where a provider verifies the address so. Every answer 200 means
    that Kafka has acknowledged all that the webhook says. Exit codes: 0 clean stop; 1 fault, also when Kafka is
    unreachable for a minute; 2 settings, rights or missing topics.
    """
    from connectors.channels import channels_of
    from connectors.processes import receiving

    configured = settings()
    raise typer.Exit(receiving(configured, channels_of(configured), host, port))


@channels.command("check")
def check(as_json: AsJson = False) -> None:
    """Read the channels file, and list every channel with the path of its webhook.

    Shows no secret. Exit code 2: the file cannot be read, or an entry is wrong.
    """
    from connectors.channels import channels_of, listed
    from workers.cli import tables
    from workers.cli.reports import as_document
    from workers.cli.terminal import console

    rows = listed(channels_of(settings()))
    if as_json:
        as_document({"channels": rows})
        return
    tables.show(console(), "channels", rows, ())
