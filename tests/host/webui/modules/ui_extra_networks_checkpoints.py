"""Imitates modules/ui_extra_networks_checkpoints.py: the checkpoints' cards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modules import sd_models, ui_extra_networks
from modules.ui_extra_networks_checkpoints_user_metadata import CheckpointUserMetadataEditor


class ExtraNetworksPageCheckpoints(ui_extra_networks.ExtraNetworksPage):
    def __init__(self) -> None:
        super().__init__("Checkpoints")

    def list_items(self) -> Iterator[dict[str, Any]]:
        for info in list(sd_models.checkpoints_list.values()):
            yield {"name": info.name_for_extra, "filename": info.filename, "shorthash": info.shorthash}

    def create_user_metadata_editor(self, ui: Any, tabname: str) -> CheckpointUserMetadataEditor:
        return CheckpointUserMetadataEditor(ui, tabname, self)
