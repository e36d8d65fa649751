"""`sluice migrate`, `status`, `doctor`, `version`: what concerns the servers and the installation."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workers.cli.terminal import AsJson, Wide, console, run_to_end, settings, show
from workers.errors import ExitCode, SettingsError

if TYPE_CHECKING:
    from workers.store.migrate import Foreseen


def _told(asked: bool) -> None:
    if asked:
        from workers.cli import version

        print(version.line())
        raise typer.Exit


OwnVersion = Annotated[
    bool, typer.Option("--version", callback=_told, is_eager=True, help="Print the version of Sluice.")
]


def migrate(
    worker_env: Annotated[
        Path | None,
        typer.Option(help="Create a login for the workers as well; store it, and a key for hashes, in this file."),
    ] = None,
    sender_env: Annotated[
        Path | None, typer.Option(help="Create a login for the senders as well; store it in this file.")
    ] = None,
    console_env: Annotated[
        Path | None,
        typer.Option(help="Create a login for the console as well; store it, and the workers' key, in this file."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what it would do, in order, and change nothing.")
    ] = False,
) -> None:
    """Bring the database's schema up to date. Safe to run again and from several places at once.

    With --worker-env the workers get a login with the rights of a worker and nothing more. The file holds
    SLUICE_DATABASE_URL and SLUICE_HASH_KEY for them, random values that are created once: it is their .env. Keep it as
    you keep the database. With --sender-env the senders get one with the rights of a sender: SLUICE_DATABASE_URL in a
    file of their own. With --console-env the console gets one that reads, and keeps users. Its file also holds the
    workers' SLUICE_HASH_KEY, by which it finds blocked addresses of deleted contacts: from the settings, else from the
    file of --worker-env. --dry-run prints the files that it would run, and takes no other option.
    """
    from workers.app import write_commands
    from workers.cli import login

    configured = settings()
    if dry_run:
        if (worker_env, sender_env, console_env) != (None, None, None):
            raise SettingsError("--dry-run changes nothing, so it takes no file for a login")
        _tell_foreseen(run_to_end(write_commands.foreseen_migration(configured)))
        return
    applied = run_to_end(write_commands.migrated(configured))
    print("\n".join(f"applied {name}" for name in applied) or "the schema is up to date")
    if worker_env is not None:
        print(f"workers log in as {run_to_end(login.of_workers(worker_env).keep(configured))}: see {worker_env}")
    if sender_env is not None:
        print(f"senders log in as {run_to_end(login.of_senders(sender_env).keep(configured))}: see {sender_env}")
    if console_env is not None:
        name = run_to_end(login.of_console(console_env, worker_env).keep(configured))
        print(f"the console logs in as {name}: see {console_env}")


def _tell_foreseen(found: "Foreseen") -> None:
    lines = [
        *(f"would create the role {name}" for name in found.roles),
        *(f"would remove what {name} made" for name in found.removed),
        *(f"would apply {name}" if is_new else f"would run {name} again" for name, is_new in found.files),
    ]
    print("\n".join(lines) or "the schema is up to date")


def status(
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")] = False,
    interval: Annotated[float, typer.Option(min=0.5, max=3600, help="Seconds between two looks of --watch.")] = 2.0,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """Show lag and rates, workers, what waits, what is under way, dead letters.

    lag counts the records of a partition that are not applied, lag_s is for how long the oldest of them has waited, in
    seconds; both need SLUICE_KAFKA_BOOTSTRAP. per_second are records applied. With --watch --json each look is a line.
    """
    from workers.cli import status as seen
    from workers.cli import watching

    if watch:
        watching.watched(settings(), interval, as_json=as_json, wide=wide)
        return
    show(seen.once(settings()), as_json=as_json, wide=wide)


def doctor(
    purpose: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="KIND",
            help="What will run with these settings: worker, receiver, sender, console or engine.",
            autocompletion=lambda: ["worker", "receiver", "sender", "console", "engine"],
        ),
    ] = "worker",
    partitions: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="How many partitions every topic should have.")
    ] = None,
    replication: Annotated[
        int | None, typer.Option(min=1, max=9, help="How many replicas every partition should have.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check settings, servers, rights, topics, schema, clocks and connections; say what to do.

    It changes nothing. A warning is something that works and may fail later. Exit code 0: there is no problem; 1: there
    is one.
    """
    from workers.cli import doctor as doctors
    from workers.cli import reports

    if purpose not in doctors.PURPOSES:
        raise SettingsError(f"--for: expected one of {', '.join(doctors.PURPOSES)}, got {purpose!r}")
    findings = run_to_end(doctors.examined(doctors.Asked(purpose, partitions, replication)))
    if as_json:
        reports.as_document(doctors.document(findings))
    else:
        for line in doctors.lines(findings):
            console().print(line, soft_wrap=True)
    if doctors.document(findings)["level"] == "problem":
        raise typer.Exit(ExitCode.FAULT)


def version(as_json: AsJson = False) -> None:
    """Print the version of Sluice, the number of its database schema, and the version of Python.

    It asks no server: `sluice doctor` compares it with the database.
    """
    from workers.cli import reports
    from workers.cli import version as versions

    if as_json:
        reports.as_document(versions.document())
    else:
        print(versions.line())
