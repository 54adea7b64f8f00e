"""huggingface_hub, at every version that a host has (0.16 and newer): addresses, token, endpoint.

Only what all of them have in common is used, and the requests are sent by `wire`: `get_hf_file_metadata` has changed
its arguments, its errors and the HTTP library below it. The import is slow, so it happens at the first use.
"""

from __future__ import annotations

from ...catalogue.entry import HubSource
from ...errors import UsageError
from ...sentences import say
from ..wire.urls import checked, origin

TOKEN_HOME = ("https", "huggingface.co", 443)
"""Whom a saved token belongs to."""


def endpoint(chosen: str | None) -> str:
    """Return the hub to ask: `chosen`, or huggingface_hub's own."""
    from huggingface_hub import constants

    return checked((chosen or constants.ENDPOINT).rstrip("/"))


def is_offline() -> bool:
    """Tell whether the user has set HF_HUB_OFFLINE."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def address(source: HubSource, hub: str) -> str:
    """Return the address that `source` has at `hub`."""
    from huggingface_hub import constants, hf_hub_url

    try:
        # Without `endpoint=`: 0.16 has no such argument.
        url = hf_hub_url(source.repo, source.path, revision=source.revision)
    except ValueError:
        raise UsageError(say("{repo} is not the name of a repository (owner/name).", repo=source.repo)) from None
    return hub + url[len(constants.ENDPOINT) :]


def authorization(hub: str, *, chosen: bool) -> dict[str, str]:
    """Return the header that signs in at `hub`: only if the token was saved for it, or the user has `chosen` so."""
    if origin(hub) != TOKEN_HOME and not chosen:
        return {}
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    value = build_hf_headers().get("authorization")
    return {"Authorization": value} if value else {}
