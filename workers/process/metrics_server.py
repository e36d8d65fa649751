"""Metrics and health of a process over HTTP, from a thread: `/metrics`, `/live`, `/ready`."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from workers.errors import SettingsError
from workers.process.health import Health

_PLAIN: Final = "text/plain; charset=utf-8"
_READ_S: Final = 10.0
"""Seconds that a client may take for its request."""


def serve_health(health: Health, host: str, port: int | None) -> None:
    """Serves metrics and health until the process ends; without a port nothing is served.

    Raises:
        SettingsError: the address is not available.
    """
    if port is None:
        return
    try:
        server = _Server((host, port), _Handler)
    except OSError as error:
        raise SettingsError(
            f"SLUICE_METRICS_HOST and _PORT: {host}:{port} is not available: {error.strerror or error}"
        ) from error
    server.health = health
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    health: Health

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: a client that went away concerns nobody."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _READ_S

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/metrics":
                self._answer(200, generate_latest(), CONTENT_TYPE_LATEST)
            case "/live":
                live = self.server.health.is_live
                self._answer(200 if live else 503, b"live\n" if live else b"the event loop is blocked\n")
            case "/ready":
                missing = self.server.health.obstacles()
                said = f"not ready: {'; '.join(missing)}\n" if missing else "ready\n"
                self._answer(503 if missing else 200, said.encode())
            case _:
                self._answer(404, b"Expected /metrics, /live or /ready.\n")

    do_HEAD = do_GET  # noqa: N815 - the name that the base class looks for

    def _answer(self, status: int, body: bytes, content_type: str = _PLAIN) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        return "sluice"

    def log_message(self, *_arguments: object) -> None:
        """Says nothing: scrapes are no news."""
