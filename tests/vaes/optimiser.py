"""Steps along orthogonalised momentum ("Muon"): reaches in minutes what Adam needs half an hour for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import torch
from torch import Tensor, nn

__all__ = ["OrthogonalMomentum"]

QUINTIC: Final = (3.4445, -4.7750, 2.0315)
"""Coefficients of the odd polynomial that, applied again and again, takes singular values in 0 … 1 to about 1."""

ROUNDS: Final = 5


class OrthogonalMomentum:
    """Optimises weights of two or more dimensions, each seen as a matrix: `[out, …]` is `[out, product of …]`."""

    def __init__(self, weights: Iterable[nn.Parameter], momentum: float = 0.95) -> None:
        self._weights = [(weight, torch.zeros_like(weight)) for weight in weights]
        self._momentum = momentum

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Moves each weight by `rate` in every direction that its gradients agree on."""
        for weight, average in self._weights:
            if weight.grad is None:
                continue
            average.mul_(self._momentum).add_(weight.grad)
            ahead = weight.grad + self._momentum * average
            direction = orthogonalised(ahead.flatten(1))
            rows, columns = direction.shape
            weight.sub_(direction.view_as(weight), alpha=rate * max(1.0, rows / columns) ** 0.5)


def orthogonalised(matrix: Tensor) -> Tensor:
    """A matrix of the same singular vectors whose singular values are all about 1 (0.7 … 1.2)."""
    a, b, c = QUINTIC
    result: Tensor = matrix / (matrix.norm() + 1e-7)
    for _ in range(ROUNDS):
        gram = result @ result.T
        result = a * result + (b * gram + c * gram @ gram) @ result
    return result
