"""The comparison of VAEs: several VAEs decode the same latent. torch, numpy and scikit-image load at the first use."""

from .comparison_store import (
    Candidate,
    Checkpoint,
    Comparison,
    Comparisons,
    ComparisonStep,
    Decoded,
    Encoder,
    FirstLook,
    Model,
    RecentLatents,
    RecentPicture,
    Result,
    State,
)

__all__ = [
    "Candidate",
    "Checkpoint",
    "Comparison",
    "ComparisonStep",
    "Comparisons",
    "Decoded",
    "Encoder",
    "FirstLook",
    "Model",
    "RecentLatents",
    "RecentPicture",
    "Result",
    "State",
]
