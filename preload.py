"""The extension's command line flag. The WebUI runs this before it reads its arguments."""

import argparse


def preload(parser: argparse.ArgumentParser) -> None:
    try:
        parser.add_argument(
            "--vae-manager-allowed-hosts",
            type=str,
            default=None,
            metavar="NAME[,NAME]",
            help="names under which VAE Manager answers besides those of this machine: that of a reverse proxy, say",
        )
    except Exception as error:  # noqa: BLE001 - the WebUI has to start even without this flag
        print(f"VAE Manager: --vae-manager-allowed-hosts is not available: {error}")  # noqa: T201
