"""`sluice engine …`: tells a workflow engine what its runs may do."""

from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from workers.cli.terminal import settings
from workers.errors import SettingsError

app: Final = typer.Typer(
    no_args_is_help=True,
    help="Tell a workflow engine what its runs may do, until SIGTERM.\n\n"
    "Reads the topic workflows.control in a consumer group of its own, from the oldest record on, and goes on where "
    "it stopped. Exit codes: 0 clean stop; 1 fault, also when Kafka or the engine did not answer for a minute; 2 "
    "settings, rights or missing topics.",
)

Name = Annotated[
    str, typer.Option("--name", metavar="NAME", help="Ends the name of the consumer group: one for each engine.")
]


@app.command()
def webhook(
    url: Annotated[str, typer.Option("--url", metavar="URL", help="Where the engine listens.")],
    name: Name = "webhook",
) -> None:
    """Post each record to a URL, signed.

    The body is the record as it is on the topic. The headers webhook-id, webhook-timestamp and webhook-signature are
    those of standardwebhooks.com, signed with SLUICE_WEBHOOK_SECRET. 2xx is done; 408, 429, 5xx and no answer within 10
    seconds are tried again; all else is given up and logged. The same webhook-id may come again.
    """
    from workers.app import engines
    from workers.engines.signing import secret_of
    from workers.engines.webhook import Webhook

    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise SettingsError("--url must be http://host/path or https://host/path, without user name")
    configured = settings()
    secret = secret_of(engines.required_secret(configured))
    raise typer.Exit(engines.run(configured, Webhook(url, secret), name))


@app.command()
def dbos(name: Name = "dbos") -> None:
    """Cancel the workflows of halted runs in DBOS, and send every record to its workflow.

    The run_id is the workflow's id; workflows receive the records on the topic `sluice`. SLUICE_DBOS_DATABASE_URL is
    the system database of the application. Needs the extra: pip install 'sluice[dbos]'.
    """
    from workers.app import engines

    configured = settings()
    url = engines.required_dbos_url(configured)
    try:
        from workers.engines.dbos import dbos_runs
    except ModuleNotFoundError as error:
        raise SettingsError("DBOS is not installed: pip install 'sluice[dbos]'") from error
    with dbos_runs(url) as runs:
        raise typer.Exit(engines.run(configured, runs, name))
