"""The channels that are measured: one to receive, one to send."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

FILE: Final = "channels.toml"
"""In the working folder of the processes."""
SECRETS: Final[Mapping[str, str]] = {
    "BENCH_TOKEN": "bench-token",
    "BENCH_BOT": "1:bench",
    "BENCH_ACCESS": "bench-access",
    "BENCH_APP": "bench-app",
}
_TEXT: Final = """
[[channel]]
workspace_id = "bench"
channel_id = "telegram"
provider = "telegram"
bot_token = "env:BENCH_BOT"
secret_token = "env:BENCH_TOKEN"

[[channel]]
workspace_id = "bench"
channel_id = "whatsapp"
provider = "whatsapp_cloud"
phone_number_id = "105551234567"
app_secret = "env:BENCH_APP"
verify_token = "env:BENCH_TOKEN"
access_token = "env:BENCH_ACCESS"
base_url = "http://127.0.0.1:{port}/api/bench/whatsapp"
"""
API: Final = "http://127.0.0.1:{port}/api/bench/whatsapp/105551234567/messages"


def write(folder: Path, port: int) -> None:
    """Writes the file; the provider of sends listens at that port."""
    (folder / FILE).write_text(_TEXT.format(port=port), encoding="utf-8")
