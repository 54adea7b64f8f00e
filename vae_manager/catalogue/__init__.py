"""The catalogue of published VAEs: entries, families, licences, and the files that define them."""

from pathlib import Path

from .entry import (
    FAMILIES,
    BucketSource,
    Catalogue,
    CatalogueProblem,
    CivitaiSource,
    EncoderEntry,
    Entry,
    Evaluation,
    Family,
    FamilyEvidence,
    FamilyFacts,
    FamilyGuess,
    HttpsSource,
    HubSource,
    Layout,
    Licence,
    LocalSource,
    PublishedFile,
    Source,
    is_vae_file_name,
    name_at,
    not_offered,
    safe_file_name,
)

__all__ = [
    "FAMILIES",
    "BucketSource",
    "Catalogue",
    "CatalogueProblem",
    "CivitaiSource",
    "EncoderEntry",
    "Entry",
    "Evaluation",
    "Family",
    "FamilyEvidence",
    "FamilyFacts",
    "FamilyGuess",
    "HttpsSource",
    "HubSource",
    "Layout",
    "Licence",
    "LocalSource",
    "PublishedFile",
    "Source",
    "is_vae_file_name",
    "load",
    "name_at",
    "not_offered",
    "safe_file_name",
]


def load(user_file: Path | None = None) -> Catalogue:
    """Return the built-in entries, then those of `user_file`, which need not exist. The files are read at each call.

    Never raises for the content of a file: invalid entries are among the `problems`, and the others are used.
    """
    from .loader import load as read  # imported here: YAML and its checks must not slow the WebUI's start

    return read(user_file)
