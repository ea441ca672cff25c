"""The linear member of the head: logistic regression around the network's logit, by Newton's method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LARGEST = 6.0
"""Standardised features are cut at so many standard deviations."""

STEPS = 12
"""Newton steps at most; five or six are enough."""

FREE_CONSTANT = 0.1
"""Precision of the prior on the constant where both kinds of voxels were answered."""


@dataclass(frozen=True)
class LinearMember:
    """Logit = the network's + constant + standardised features x coefficients.

    Args:
        middle, spread: float64 (columns,), of the voxels that were learnt from.
        coefficients: float64 (columns + 1,), the constant first.
        covariance: float64 (columns + 1, columns + 1), of the coefficients (Laplace's approximation).
    """

    middle: np.ndarray
    spread: np.ndarray
    coefficients: np.ndarray
    covariance: np.ndarray

    def variance(self, values: np.ndarray) -> np.ndarray:
        """Variance of the logit, float32 (voxels,): large where a voxel is unlike those that were learnt from."""
        scaled = _standardised(values, self.middle, self.spread)
        covariance = self.covariance.astype(np.float32)
        found = covariance[0, 0] + 2.0 * (scaled @ covariance[1:, 0])
        return np.asarray(np.maximum(found + np.einsum("ij,ij->i", scaled @ covariance[1:, 1:], scaled), 0.0))

    def logit(self, values: np.ndarray, network: np.ndarray) -> np.ndarray:
        """Logits, float64 (voxels,), of features (voxels, columns) beside the network's logits (voxels,)."""
        scaled = _standardised(values, self.middle, self.spread)
        return np.asarray(network + self.coefficients[0] + scaled @ self.coefficients[1:].astype(np.float32))


def _standardised(values: np.ndarray, middle: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Features in standard deviations from the middle, cut at `LARGEST`, float32."""
    scaled = (values - middle.astype(np.float32)) / spread.astype(np.float32)
    return np.clip(scaled, -LARGEST, LARGEST, out=scaled)


def fit_linear(
    values: np.ndarray,
    changed: np.ndarray,
    network: np.ndarray,
    weight: np.ndarray,
    ridge: float,
    constant: float = FREE_CONSTANT,
) -> LinearMember:
    """Find the most probable coefficients under a Gaussian prior around 0: around the network as it is.

    Args:
        values: float32 (voxels, columns).
        changed: bool (voxels,).
        network: (voxels,) logits.
        weight: (voxels,).
        ridge: precision of the prior on coefficients.
        constant: precision of the prior on the constant; with `FREE_CONSTANT` and no voxel of change it runs away.
    """
    middle = values.mean(axis=0, dtype=np.float64)
    spread = values.std(axis=0, dtype=np.float64) + 1e-6
    scaled = _standardised(values, middle, spread).astype(np.float64)
    matrix = np.concatenate([np.ones((len(values), 1)), scaled], axis=1)
    precision = np.full(matrix.shape[1], float(ridge))
    precision[0] = constant
    found = np.zeros(matrix.shape[1])
    eta = network.astype(np.float64)
    loss = _loss(eta, changed, weight, found, precision)
    for _ in range(STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(eta, -30.0, 30.0)))
        gradient = matrix.T @ (weight * (p - changed)) + precision * found
        curvature = (matrix * (weight * np.maximum(p * (1.0 - p), 1e-6))[:, None]).T @ matrix + np.diag(precision)
        step = np.linalg.solve(curvature, gradient)
        for length in (1.0, 0.5, 0.25, 0.125, 0.0):
            moved = found - length * step
            eta_moved = network + matrix @ moved
            loss_moved = _loss(eta_moved, changed, weight, moved, precision)
            if loss_moved < loss:
                break
        if length == 0.0 or loss - loss_moved < 1e-4 * max(1.0, loss):
            break
        found, eta, loss = moved, eta_moved, loss_moved
    p = 1.0 / (1.0 + np.exp(-np.clip(eta, -30.0, 30.0)))
    curvature = (matrix * (weight * np.maximum(p * (1.0 - p), 1e-6))[:, None]).T @ matrix + np.diag(precision)
    return LinearMember(middle, spread, found, np.linalg.inv(curvature))


def _loss(eta: np.ndarray, changed: np.ndarray, weight: np.ndarray, found: np.ndarray, precision: np.ndarray) -> float:
    """Negative log posterior."""
    return float((weight * (np.logaddexp(0.0, eta) - changed * eta)).sum() + 0.5 * (precision * found * found).sum())
