"""The VAE that a generation brings for its own time: the WebUI writes it into its setting, and back when it is done."""

from __future__ import annotations

from collections.abc import Callable

from .. import host_values


class Override:
    """Of the job that runs now, and the person's own setting meanwhile. One for the process."""

    def __init__(self, generating: Callable[[], bool]) -> None:
        self._generating = generating
        self._word: str | None = None
        """That of the latest generation."""
        self._set_aside: tuple[str, float | None] | None = None
        """The setting before, and when the job began."""

    def note(self, word: str | None, setting: str) -> None:
        """A generation begins, with a VAE of its own or without; `setting` is what stands there before it is written.

        Of several in one job (X/Y/Z, a detailer inside another generation) the first one's setting is the person's.
        """
        if not self.is_in_force:
            self._set_aside = (setting, host_values.state("time_start", None)) if word is not None else None
        self._word = word

    @property
    def is_in_force(self) -> bool:
        if self._set_aside is None or not self._generating():
            return False
        return bool(self._set_aside[1] == host_values.state("time_start", None))

    @property
    def setting(self) -> str | None:
        """The person's own, while one is in force; else None: it stands where it always does."""
        return self._set_aside[0] if self._set_aside is not None and self.is_in_force else None

    def is_by(self, word: str) -> bool:
        """The picture that is being made has asked for this VAE."""
        return self.is_in_force and word == self._word

    def ends_with(self, written: str) -> bool:
        """The WebUI has `written` the setting back, and the picture is about to be given out."""
        return self.is_in_force and written != self._word
