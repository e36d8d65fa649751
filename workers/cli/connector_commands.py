"""`sluice receive`, `send`, `simulate`, `channels` and `connectors`: the connectors."""

import re
from typing import Annotated, Final

import typer

from workers.cli.customer_commands import InWorkspace
from workers.cli.terminal import AsJson, Wide, console, moment, run_to_end, say, settings
from workers.errors import ExitCode, SettingsError

_GROUP: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

channels: Final = typer.Typer(
    no_args_is_help=True,
    help="Look at the channels of SLUICE_CHANNELS_FILE, and map again what was not understood.",
)

connectors: Final = typer.Typer(no_args_is_help=True, help="Try connectors, Sluice's own and yours.")

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
    from connectors.channels import channels_file, channels_of
    from connectors.processes import receiving
    from connectors.receiver.announcing import announcements

    configured = settings()
    file = channels_file(configured)
    served = channels_of(file)
    raise typer.Exit(receiving(configured, served, host, port, announcements(served, file)))


def send(
    channel: Annotated[
        list[str] | None,
        typer.Option("--channel", metavar="WORKSPACE/CHANNEL", help="Serve only this channel. May be repeated."),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option("--group", metavar="NAME", help="Ends the name of the consumer group. --channel requires it."),
    ] = None,
) -> None:
    """Send what sends.dispatch says, for the channels of the file, until SIGTERM.

    Each attempt is claimed right before the call of the provider, and its receipt is acknowledged before the offset is
    committed: a send leaves at most once. More processes share the work; all members of one group must serve the same
    channels. Exit codes: 0 clean stop; 1 fault, also when a server is unreachable for a minute; 2 settings, rights,
    missing migration or topics, or another member serves other channels.
    """
    from connectors.channels import channels_file, channels_of, chosen
    from connectors.processes import sending

    if channel and group is None:
        raise SettingsError("--channel requires --group: another group of senders serves the other channels")
    if group is not None and not _GROUP.fullmatch(group):
        raise SettingsError("--group must be 1 to 64 letters, digits, `.`, `_` or `-`")
    configured = settings()
    name = f"{configured.group_prefix}-send" + (f"-{group}" if group else "")
    raise typer.Exit(sending(configured, chosen(channels_of(channels_file(configured)), channel or ()), name))


def simulate(
    receiver: Annotated[
        str, typer.Option("--receiver", metavar="URL", help="Where `sluice receive` listens.")
    ] = "http://127.0.0.1:8081",
    host: Host = "127.0.0.1",
    port: Port = 8082,
) -> None:
    """Play the providers of the channels file, until SIGTERM.

    The page at / shows the phones of people. The API of a channel is at /api/{workspace_id}/{channel_id}: its base_url
    in the channels file must point there. POST /say/{workspace_id}/{channel_id} {"from", "text"} makes a person write;
    POST /faults/{workspace_id}/{channel_id} {"fault", "times"} makes the next calls go wrong. For tests and trials.
    """
    from connectors.channels import channels_file, channels_of
    from connectors.processes import simulating

    configured = settings()
    raise typer.Exit(simulating(configured, channels_of(channels_file(configured)), host, port, receiver))


@channels.command("check")
def check(as_json: AsJson = False) -> None:
    """Read the channels file, and list every channel with the path of its webhook.

    Shows no secret. Exit code 2: the file cannot be read, or an entry is wrong.
    """
    from connectors.channels import channels_file, channels_of, listed
    from workers.cli import tables
    from workers.cli.reports import as_document

    rows = listed(channels_of(channels_file(settings())))
    if as_json:
        as_document(rows)
        return
    tables.show(console(), "channels", rows, ())


@channels.command("replay")
def replay(
    channel: Annotated[
        list[str] | None,
        typer.Option("--channel", metavar="WORKSPACE/CHANNEL", help="Only this channel. May be repeated."),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Only what Kafka got at or after this time.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be mapped, and produce nothing.")] = False,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Map again what a receiver did not understand, with this version.

    Reads webhooks.unmapped up to its present end, and produces what its webhooks say now. The ids are the same as
    before: what was produced already changes nothing, so it may be given again. Exit code 1: something is still not
    mapped; 2: wrong use, settings or missing topics.
    """
    from connectors.channels import channels_file, channels_of, chosen
    from workers.cli import channel_replay, reports

    configured, since_when = settings(), moment(since, "--since")
    found = chosen(channels_of(channels_file(configured)), channel or ())
    wanted = channel_replay.Wanted(found, only=bool(channel), since=since_when, dry_run=dry_run)
    rows = run_to_end(channel_replay.replayed(configured, wanted))
    hint = f"Nothing{' of these channels' if channel else ''} is on webhooks.unmapped{' since then' if since else ''}."
    reports.show(
        console, reports.Report({"channels": rows}, hint=hint, details=("provider",)), as_json=as_json, wide=wide
    )
    if any(row["mapped"] < row["webhooks"] for row in rows):
        raise typer.Exit(ExitCode.FAULT)


@connectors.command("verify")
def verify(
    workspace: InWorkspace,
    channel: Annotated[str, typer.Option("--channel", metavar="ID", help="The id of a channel that is not counted.")],
    address: Annotated[str, typer.Option("--address", metavar="ADDRESS", help="Where the trials go: one of yours.")],
    timeout: Annotated[float, typer.Option("--timeout", help="How long to wait for a receipt, in seconds.")] = 30.0,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Give a running sender trials, and say which promises it keeps.

    Requests a few sends to the address, repeats their dispatches in another order, names attempts that may not be made,
    and claims one before the sender can. Only on a channel that is configured with count false. The login needs
    sluice_reader and sluice_sender, and may write messages.outbound, sends.dispatch and messages.receipts. Exit code 1:
    a promise is broken, or the trials were not possible; 2: wrong use, settings, or the channel is counted.
    """
    from workers.cli import connector_verify, reports

    if not 0 < timeout <= connector_verify.LONGEST_S:
        raise SettingsError(f"--timeout: expected more than 0 and at most {connector_verify.LONGEST_S:g} seconds")
    wanted = connector_verify.Wanted(workspace, channel, address, timeout)
    document = run_to_end(connector_verify.verified(settings(), wanted))
    if as_json:
        reports.as_document(document)
    else:
        reports.show(console, reports.Report({"promises": document["promises"]}), as_json=False, wide=wide)
        say(connector_verify.told(document))
    if any(promise["verdict"] == "broken" for promise in document["promises"]):
        raise typer.Exit(ExitCode.FAULT)
