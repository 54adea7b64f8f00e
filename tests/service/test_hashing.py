"""Hashes become known in the background, one file after the other."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from vae_manager.service import Service


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_holds_up_no_other_hash(service: Service, tmp_path: Path) -> None:
    pipe, file = tmp_path / "pipe.safetensors", tmp_path / "file.safetensors"
    os.mkfifo(pipe)
    file.write_bytes(b"weights")
    service.hash_in_background([pipe, file])
    end = time.monotonic() + 30
    while service.stores.hashes.known(file) is None and time.monotonic() < end:
        time.sleep(0.01)
    assert service.stores.hashes.known(file) == hashlib.sha256(b"weights").hexdigest()
