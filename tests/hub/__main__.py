"""Run the hub by hand: for a demonstration, or for clients in other processes to be measured against.

    python -m tests.hub --file owner/repo/path=local.safetensors --port 8070 --rate-per-connection 40M --latency 0.05

Prints the endpoint as `HF_ENDPOINT=...`; on Ctrl-C or SIGTERM it prints what it sent, as one line of JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import threading
from pathlib import Path

from .hub import Hub
from .sending import Link
from .server import Server

_UNITS = {"k": 1e3, "M": 1e6, "G": 1e9}


def rate(text: str) -> float:
    """Bytes per second: a number, with k, M or G behind it for thousands, millions or milliards."""
    factor = _UNITS.get(text[-1:], 1.0)
    return float(text.rstrip("kMG")) * factor


def named_file(text: str) -> tuple[str, str, str | None, Path]:
    """`owner/repo[@commit]/path=local` as repository, path, commit and local file."""
    address, _, local = text.partition("=")
    parts = address.split("/", 2)
    if len(parts) != 3 or not Path(local).is_file():
        raise argparse.ArgumentTypeError(f"{text!r} is not owner/repo[@commit]/path=an existing file")
    name, _, commit = parts[1].partition("@")
    return f"{parts[0]}/{name}", parts[2], commit or None, Path(local)


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(prog="python -m tests.hub", description="A hub on loopback, for tests.")
    arguments.add_argument("--file", action="append", type=named_file, default=[], help="owner/repo[@commit]/path=file")
    arguments.add_argument("--port", type=int, default=0, help="of the hub; the default takes a free one")
    arguments.add_argument("--cdn-port", type=int, default=0)
    arguments.add_argument("--rate-per-connection", type=rate, help="bytes per second on the CDN, such as 40M")
    arguments.add_argument("--rate-total", type=rate, help="bytes per second on the CDN, all connections together")
    arguments.add_argument("--latency", type=float, default=0.0, help="seconds before each answer of the CDN")
    arguments.add_argument("--token", action="append", default=[], help="a token to accept")
    return arguments


def totals(server: Server) -> dict[str, int]:
    return {
        "requests": len(server.requests),
        "bytes": server.sent(),
        "connections": server.connections,
        "peak": server.peak,
    }


def main(argv: list[str] | None = None) -> None:
    options = parser().parse_args(argv)
    link = Link(options.rate_per_connection, options.rate_total, options.latency)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with Hub(tokens=options.token, link=link, port=options.port, cdn_port=options.cdn_port) as hub:
        for repo, path, commit, local in options.file:
            hub.add(repo, path, local, revision=commit)
        print(f"HF_ENDPOINT={hub.endpoint}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while not ended.wait(0.2):
                pass
        print(json.dumps({"hub": totals(hub.api), "cdn": totals(hub.cdn)}), flush=True)


if __name__ == "__main__":
    main()
