"""The same latent decoded by several VAEs, held against each other. torch, numpy and scikit-image come when needed."""

from .kept import Checkpoint, Kept, KeptLatents
from .store import Comparison, Comparisons, State
from .values import Candidate, Decoded, Encoder, Model, Result, Step

__all__ = [
    "Candidate",
    "Checkpoint",
    "Comparison",
    "Comparisons",
    "Decoded",
    "Encoder",
    "Kept",
    "KeptLatents",
    "Model",
    "Result",
    "State",
    "Step",
]
