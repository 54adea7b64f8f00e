"""What the project knows about published VAEs: entries, families, licences, and the files that say so."""

from pathlib import Path

from .entry import (
    FAMILIES,
    BucketSource,
    Catalogue,
    CatalogueProblem,
    CivitaiSource,
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
    "Source",
    "is_vae_file_name",
    "load",
    "name_at",
    "not_offered",
    "safe_file_name",
]


def load(user_file: Path | None = None) -> Catalogue:
    """The built-in entries, then those of `user_file`, which need not exist. The files are read at each call.

    Never raises for what a file says: what cannot be used is among the `problems`, and the rest is there.
    """
    from .loader import load as read  # YAML and its checks wait for the first reading: the WebUI's start is not it

    return read(user_file)
