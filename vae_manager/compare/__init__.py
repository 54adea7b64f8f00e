"""The same latent decoded by several VAEs, held against each other. torch, numpy and scikit-image come when needed."""

from .comparison_store import Comparison, Comparisons, State
from .comparison_values import Candidate, Decoded, Encoder, Model, Result, Step
from .recent_latents import Checkpoint, Kept, KeptLatents

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
