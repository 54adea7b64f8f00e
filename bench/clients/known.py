"""Which clients there are, what each needs, and over which links they are compared."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from shutil import which

from tests.environments import Environment, prepare

OLD = Environment("transfer-0.36.2", ("huggingface_hub==0.36.2", "hf_transfer", "hf_xet", "requests", "PyYAML"))
"""huggingface_hub as AUTOMATIC1111's WebUI has it; this project runs in it too."""
NEW = Environment("transfer-newest", ("huggingface_hub",))

PLAIN = {"HF_HUB_DISABLE_XET": "1"}


@dataclass(frozen=True)
class Client:
    """One row of the table."""

    name: str
    """For --only and for the results."""
    title: str
    module: str
    """Of bench.clients; does the work in a process of its own."""
    arguments: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    """Environment variables."""
    environment: Environment = OLD
    program: str = ""
    """What must be on the path."""
    server: str = "tests.hub"
    """The module that serves it, started with a link's arguments; "" for a row that fetches nothing."""


CLIENTS = (
    Client("ours", "this project", "ours", settings=PLAIN),
    Client("hub", "huggingface_hub 0.36.2", "hub", settings=PLAIN),
    Client("hf-transfer", "… with hf_transfer", "hub", settings={**PLAIN, "HF_HUB_ENABLE_HF_TRANSFER": "1"}),
    Client("hf-xet", "… with hf_xet", "hub", server="bench.clients.xet_server"),
    Client("hub-newest", "huggingface_hub, newest", "hub", settings=PLAIN, environment=NEW),
    Client("requests", "requests + SHA-256", "straight"),
    Client("curl", "curl", "program", program="curl"),
    Client("aria2c", "aria2c -x16 -s16 -k1M", "program", program="aria2c"),
)

ALONE = (
    Client("hash-alone", "SHA-256 of the file, alone", "alone", ("hash",), server=""),
    Client("write-alone", "writing and fsync, alone", "alone", ("write",), server=""),
)
"""They use no link, and run once a round."""


@dataclass(frozen=True)
class Link:
    """What the line to the CDN is like."""

    name: str
    """For --link and for the results."""
    title: str
    arguments: tuple[str, ...] = ()
    """Of `python -m tests.hub`."""


FREE = Link("free", "no limit")
EACH_40 = Link("each-40", "40 MB/s a connection", ("--rate-per-connection", "40M"))
EACH_20 = Link("each-20", "20 MB/s a connection, 50 ms", ("--rate-per-connection", "20M", "--latency", "0.05"))
ALL_100 = Link(
    "all-100",
    "20 MB/s a connection, 50 ms, 100 MB/s in all",
    ("--rate-per-connection", "20M", "--latency", "0.05", "--rate-total", "100M"),
)
LINKS = (FREE, EACH_40, EACH_20, ALL_100)


def missing(client: Client) -> str | None:
    """Make what the client needs; say what is not to be had."""
    if client.program and which(client.program) is None:
        return f"there is no {client.program} here"
    try:
        prepare(client.environment)
    except subprocess.CalledProcessError:
        return f"the environment {client.environment.name} could not be made"
    return None
