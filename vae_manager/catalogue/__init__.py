"""What the project knows about published VAEs: entries, families, licences, and the files that say so."""

from .entry import Entry, Evaluation, Family, Layout, Licence
from .families import FAMILIES, FamilyFacts
from .lookup import Catalogue, CatalogueProblem
from .names import is_vae_file_name, safe_file_name
from .reader import load
from .sources import HttpsSource, HubSource, LocalSource, Source, parse_source

__all__ = [
    "FAMILIES",
    "Catalogue",
    "CatalogueProblem",
    "Entry",
    "Evaluation",
    "Family",
    "FamilyFacts",
    "HttpsSource",
    "HubSource",
    "Layout",
    "Licence",
    "LocalSource",
    "Source",
    "is_vae_file_name",
    "load",
    "parse_source",
    "safe_file_name",
]
