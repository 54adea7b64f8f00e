"""The extension's command line flags. The WebUI runs this before it reads its arguments."""

import argparse
from typing import Any

FLAGS: dict[str, dict[str, Any]] = {
    "--vae-manager-allowed-hosts": {
        "metavar": "NAME[,NAME]",
        "help": "names under which VAE Manager answers besides those of this machine: that of a reverse proxy, say",
    },
    "--vae-manager-endpoint": {
        "metavar": "URL",
        "help": "the hub or mirror that VAE Manager downloads from; it counts more than the setting",
    },
    "--vae-manager-sync": {
        "metavar": "FILE",
        "help": "a file that declares VAEs: those that the download folder lacks are downloaded at each start",
    },
    "--vae-manager-no-guards": {
        "action": "store_true",
        "help": "leave the WebUI's own ways of loading a VAE as they are; it counts more than the setting",
    },
}


def preload(parser: argparse.ArgumentParser) -> None:
    for flag, settings in FLAGS.items():
        try:
            parser.add_argument(flag, **settings)
        except Exception as error:  # noqa: BLE001 - the WebUI has to start even without this flag
            print(f"VAE Manager: {flag} is not available: {error}")  # noqa: T201
