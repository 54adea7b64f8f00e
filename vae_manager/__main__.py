"""Entry point of `python -m vae_manager`."""

import sys

from .cli import main

sys.exit(main())
