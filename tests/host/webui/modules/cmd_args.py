"""Imitates modules/cmd_args.py: the WebUI's flags. One that is not listed ends the start with a usage message."""

from __future__ import annotations

import argparse
from pathlib import Path

from modules.paths_internal import data_path, models_path, normalized_filepath, script_path, sd_model_file

parser = argparse.ArgumentParser(allow_abbrev=False)

SWITCHES = (
    "add-stop-route",
    "api",
    "api-log",
    "api-server-stop",
    "autolaunch",
    "disable-all-extensions",
    "disable-extra-extensions",
    "disable-nan-check",
    "disable-safe-unpickle",
    "enable-insecure-extension-access",
    "freeze-settings",
    "gradio-debug",
    "hide-ui-dir-config",
    "listen",
    "log-startup",
    "lowram",
    "lowvram",
    "medvram",
    "medvram-sdxl",
    "no-download-sd-model",
    "no-gradio-queue",
    "no-half",
    "no-half-vae",
    "no-hashing",
    "no-prompt-history",
    "nowebui",
    "share",
    "skip-install",
    "skip-load-model-at-start",
    "ui-debug-mode",
)

TEXTS = (
    "api-auth",
    "cors-allow-origins",
    "cors-allow-origins-regex",
    "freeze-settings-in-sections",
    "freeze-specific-settings",
    "gradio-auth",
    "ngrok",
    "server-name",
    "subpath",
    "theme",
)

for switch in SWITCHES:
    parser.add_argument(f"--{switch}", action="store_true")
for text in TEXTS:
    parser.add_argument(f"--{text}", type=str, default=None)

parser.add_argument("--ckpt-dir", type=normalized_filepath, default=None)
parser.add_argument("--vae-dir", type=normalized_filepath, default=None)
parser.add_argument("--vae-path", type=normalized_filepath, default=None)
parser.add_argument("--models-dir", type=normalized_filepath, default=None)
parser.add_argument("--data-dir", type=normalized_filepath, default=script_path)
parser.add_argument("--gradio-auth-path", type=normalized_filepath, default=None)
parser.add_argument("--ckpt", type=normalized_filepath, default=sd_model_file)
parser.add_argument("--embeddings-dir", type=normalized_filepath, default=str(Path(data_path, "embeddings")))
parser.add_argument("--hypernetwork-dir", type=normalized_filepath, default=str(Path(models_path, "hypernetworks")))
parser.add_argument("--localizations-dir", type=normalized_filepath, default=str(Path(script_path, "localizations")))
parser.add_argument("--ui-config-file", type=str, default=str(Path(data_path, "ui-config.json")))
parser.add_argument("--ui-settings-file", type=str, default=str(Path(data_path, "config.json")))
parser.add_argument("--gradio-allowed-path", action="append", default=[data_path])
parser.add_argument("--precision", type=str, choices=["full", "half", "autocast"], default="autocast")
parser.add_argument("--use-cpu", nargs="+", default=[], type=str.lower)
parser.add_argument("--port", type=int, default=None)
parser.add_argument("--timeout-keep-alive", type=int, default=30)
