"""Metrics of HTTP servers: the receiver and the console."""

from typing import Final

from workers.process.metrics.kinds import Section

SERVING: Final = Section(
    "Requests of receiver and console",
    "`server` is `receiver` or `console`. `route` is the path as the code has it, with names in the place of values;\n"
    "what matches none is `none`.",
)
REQUESTS: Final = SERVING.counter(
    "sluice_http_requests_total",
    "requests by the status code of their answer; `gone` if the client went away before it",
    "server",
    "route",
    "method",
    "code",
    alert='`code=~"5.."`: an increase that goes on',
)
REQUEST_SECONDS: Final = SERVING.histogram(
    "sluice_http_request_seconds",
    "from a request's head to the head of its answer",
    "server",
    "route",
    buckets=(0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    alert="above 2.5",
)
