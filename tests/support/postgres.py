"""Other PostgreSQL versions on this machine, to check that Sluice uses only what they support."""

import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

_PLACES: Final = Path("/usr/lib/postgresql")
_MINIMUM: Final = 15
_OPTIONS: Final = "-c fsync=off -c listen_addresses= -c max_connections=120 -c unix_socket_directories="


def installed() -> list[int]:
    """Major versions that Sluice promises to run on, oldest first."""
    found = (int(path.parts[-3]) for path in _PLACES.glob("*/bin/initdb") if path.parts[-3].isdigit())
    return sorted(version for version in found if version >= _MINIMUM)


@contextmanager
def postgres(version: int) -> Iterator[str]:
    """Runs an installed server in a temporary folder and yields its libpq URL (a Unix socket)."""
    tools = _PLACES / str(version) / "bin"
    with tempfile.TemporaryDirectory(prefix=f"sluice-postgres{version}-", ignore_cleanup_errors=True) as folder:
        if "user" in owner():
            os.chown(folder, pwd.getpwnam(owner()["user"]).pw_uid, -1)
        data = Path(folder) / "data"
        run_tool(tools / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=utf8", "--no-sync")
        run_tool(tools / "pg_ctl", "-D", data, "-w", "-l", data / "log", "-o", f"{_OPTIONS}{folder}", "start")
        try:
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            run_tool(tools / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")


def owner() -> dict[str, Any]:
    """Who runs it, as `subprocess` is told: PostgreSQL refuses to run as root, and then it runs as nobody."""
    return {"user": "nobody", "extra_groups": []} if os.geteuid() == 0 else {}


def run_tool(*command: object) -> None:
    """Runs one of its tools as its owner.

    Raises:
        RuntimeError: it failed; with what it said.
    """
    arguments = [str(word) for word in command]
    done = subprocess.run(arguments, capture_output=True, text=True, cwd="/", check=False, **owner())  # noqa: S603 - our own words
    if done.returncode != 0:
        raise RuntimeError(f"{arguments[0]} failed: {done.stdout}{done.stderr}")
