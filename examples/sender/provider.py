"""A small HTTP provider for the reference sender. The text of a message decides how it answers."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

PORT: Final = 8025


class Provider(ThreadingHTTPServer):
    """`taken` are the messages that it took, by `Idempotency-Key`; `calls` the keys of all requests in order."""

    daemon_threads = True

    def __init__(self, port: int = PORT) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.taken: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/messages"


class _Handler(BaseHTTPRequestHandler):
    server: Provider
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        provider, key = self.server, self.headers["Idempotency-Key"]
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        provider.calls.append(key)
        match message["content"].get("text"):
            case "busy":
                self._answer(429, {"error": "too many messages"}, {"Retry-After": "30"})
            case "nobody":
                self._answer(404, {"error": "nobody has this number"})
            case "broken":
                self._answer(502, {"error": "no answer from the network"})
            case "silent":
                provider.taken[key] = message
                provider.closing.wait()  # it took the message and never says so
                self.close_connection = True
            case _:
                provider.taken[key] = message
                self._answer(200, {"id": f"sms-{key}"})

    def _answer(self, status: int, body: dict[str, str], headers: dict[str, str] | None = None) -> None:
        encoded = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(encoded)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, *_arguments: object) -> None:
        """Says nothing: `taken` and `calls` tell."""


@contextmanager
def serving(port: int = PORT) -> Iterator[Provider]:
    """A provider that answers inside the block."""
    with Provider(port) as provider:
        thread = threading.Thread(target=provider.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield provider
        finally:
            provider.closing.set()
            provider.shutdown()
            thread.join()


if __name__ == "__main__":
    with serving() as running:
        print(f"PROVIDER_URL={running.url}")
        threading.Event().wait()
