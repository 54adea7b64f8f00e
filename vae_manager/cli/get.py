"""`get`: one VAE into the VAE folder."""

from __future__ import annotations

import argparse
import threading

from ..catalogue import Source, is_vae_file_name
from ..catalogue.parsing import parse_source
from ..errors import RefusedError, UsageError
from ..files import inspect
from ..sentences import say
from ..transfer import Network, Order, deliver, proposed_name
from .shared import (
    delivery_fields,
    delivery_text,
    fields_of,
    folder_of,
    judge,
    load_catalogue,
    network_of,
    print_json,
    print_problem,
    progress_bar,
    refusal_of,
    stopped_by_ctrl_c,
    with_catalogue,
    with_folder,
    with_host,
    with_network,
    with_terms,
)


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "source",
        metavar="SOURCE",
        help="an id of the catalogue, hub:OWNER/REPO/PATH[@REV], civitai:VERSION, https://… or s3://BUCKET/PATH",
    )
    with_network(command)
    with_terms(command)
    with_folder(command)
    with_host(command)
    with_catalogue(command)


def run(options: argparse.Namespace) -> int:
    network = network_of(options)
    with stopped_by_ctrl_c() as stop:
        order = _order(options, network, stop)
        with progress_bar(options, order.file_name) as report:
            delivery = deliver(order, network=network, report=report, stop=stop)
    answer = judge(inspect(delivery.path), options)
    if options.json:
        print_json({**delivery_fields(delivery), **fields_of(answer)})
        return 0
    if answer.reason is not None:
        print_problem(answer.reason.sentence)
    print(delivery_text(delivery))
    return 0


def _order(options: argparse.Namespace, network: Network, stop: threading.Event) -> Order:
    folder = folder_of(options)
    text = options.source
    if ":" in text or "/" in text:
        source = parse_source(text)
        return Order((source,), folder, _file_name(source, network, stop), None)
    entry = load_catalogue(options).entry(text)
    if (reason := refusal_of(options)(entry)) is not None:
        raise RefusedError(reason)
    return Order(entry.sources, folder, entry.file_name, entry.sha256, entry.size)


def _file_name(source: Source, network: Network, stop: threading.Event) -> str:
    name = proposed_name(source, network=network, stop=stop)
    if not is_vae_file_name(name):
        raise UsageError(say("{file} is no VAE file: the WebUI loads .safetensors, .ckpt and .pt files.", file=name))
    return name
