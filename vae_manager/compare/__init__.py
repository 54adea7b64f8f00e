"""The same latent decoded by several VAEs, held against each other. torch, numpy and scikit-image come when needed."""

from .comparison_store import (
    Candidate,
    Checkpoint,
    Comparison,
    Comparisons,
    Decoded,
    Encoder,
    Model,
    RecentLatents,
    RecentPicture,
    Result,
    State,
    Step,
)

__all__ = [
    "Candidate",
    "Checkpoint",
    "Comparison",
    "Comparisons",
    "Decoded",
    "Encoder",
    "Model",
    "RecentLatents",
    "RecentPicture",
    "Result",
    "State",
    "Step",
]
