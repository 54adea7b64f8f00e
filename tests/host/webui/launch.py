"""The WebUI's launch.py, as far as extensions import it: `import launch` in install.py and elsewhere."""

from __future__ import annotations

from modules import launch_utils

git_tag = launch_utils.git_tag
is_installed = launch_utils.is_installed
run_pip = launch_utils.run_pip
