"""Files of every kind that lies in a VAE folder, good and bad, and what is to be said of each."""

from .broken import ERROR
from .case import Case
from .no_model import NOT_MODELS
from .vaes import GOOD, NO_VAE, OTHER_FORMS

__all__ = ["CASES", "Case"]

CASES: list[Case] = [*GOOD, *OTHER_FORMS, *NO_VAE, *NOT_MODELS, *ERROR]
