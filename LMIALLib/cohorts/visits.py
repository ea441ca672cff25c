"""What differs between two scans of one brain besides disease, each effect by itself, on slices (rows, columns).

Intensities are as in `Pair`: brain median 0, robust spread 1; raw zero lies near -7.
"""

from __future__ import annotations

import numpy as np

RAW_ZERO = -7.0
LANDMARKS = (5.0, 20.0, 35.0, 50.0, 65.0, 80.0, 95.0)


def overlap(centre: float, thickness: float, positions: np.ndarray, step: float) -> np.ndarray:
    """Weights, summing to 1, with which base slices make up one slice: its box profile's overlap with each of them.

    Args:
        centre: middle of the slice, mm.
        thickness: its thickness, mm.
        positions: (n,) middles of the base slices, mm.
        step: their thickness, mm.
    """
    low = np.maximum(positions - step / 2, centre - thickness / 2)
    high = np.minimum(positions + step / 2, centre + thickness / 2)
    share = np.clip(high - low, 0.0, None)
    return share / share.sum() if share.sum() > 0 else np.eye(len(positions))[np.argmin(np.abs(positions - centre))]


def resampled_profile(phase: float, thickness: float, positions: np.ndarray, step: float) -> np.ndarray:
    """Weights of base slices in a slice at 0 mm that was interpolated from slices of another grid.

    That grid's slices are ``thickness`` mm thick, one of them ``phase`` thicknesses (0 to 1) before 0 mm; cubic
    convolution (Keys 1981, a = -1/2) stands for the B-spline of the registration. Weights sum to 1; some are negative.
    """
    taps = np.array([-1.0, 0.0, 1.0, 2.0])
    distance = np.abs(taps - phase)
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1.0
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4.0 * distance + 2.0
    cubic = np.where(distance <= 1.0, near, np.where(distance < 2.0, far, 0.0))
    profiles = [overlap((tap - phase) * thickness, thickness, positions, step) for tap in taps]
    return np.asarray(sum(weight * profile for weight, profile in zip(cubic, profiles, strict=True)))


def smooth_field(rng: np.random.Generator, shape: tuple[int, int], knots: int) -> np.ndarray:
    """A smooth field, float32 (rows, columns), of about unit variance: ``knots`` by ``knots`` values, interpolated."""
    knot_values = rng.standard_normal((knots, knots)).astype(np.float32)
    rows, columns = (_cubic_basis(n, knots) for n in shape)
    return rows @ knot_values @ columns.T


def _cubic_basis(n: int, knots: int) -> np.ndarray:
    """Cubic B-spline weights, float32 (n, knots), scaled so that white knots give about unit variance."""
    place = np.linspace(0.0, knots - 1.0, n)[:, None]
    distance = np.abs(place - np.arange(knots)[None])
    inner = 2 / 3 - distance**2 + distance**3 / 2
    outer = np.clip(2 - distance, 0, None) ** 3 / 6
    weight = np.where(distance < 1, inner, outer)
    weight /= weight.sum(axis=1, keepdims=True)
    return (weight / np.sqrt((weight**2).sum(axis=1, keepdims=True))).astype(np.float32)


def contrast_curve(values: np.ndarray, gamma: float) -> np.ndarray:
    """Raise intensities above raw zero to a power: another contrast, monotone; 0 stays 0."""
    above = np.maximum(values - RAW_ZERO, 0.05) / -RAW_ZERO
    return (above**gamma - 1.0) * (-RAW_ZERO / gamma)


def with_bias(values: np.ndarray, field: np.ndarray) -> np.ndarray:
    """Multiply raw intensities by 1 + field."""
    return values + field * (values - RAW_ZERO)


def rician(values: np.ndarray, noise: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Magnitude of a signal with complex noise of two independent fields (Gudbjartsson and Patz 1995)."""
    signal = np.maximum(values - RAW_ZERO, 0.0) + noise
    return np.sqrt(signal * signal + other * other) + np.float32(RAW_ZERO)


def grain(rng: np.random.Generator, shape: tuple[int, ...], sigma: float, correlation: float) -> np.ndarray:
    """Noise (..., rows, columns) of standard deviation ``sigma``, correlated in plane over ``correlation`` pixels."""
    from scipy.ndimage import gaussian_filter

    noise = rng.standard_normal(shape, dtype=np.float32)
    if correlation > 0.2:
        noise = gaussian_filter(noise, correlation, truncate=2.5, axes=(-2, -1))
        noise /= noise.std()
    return noise * np.float32(sigma)


def matched(values: np.ndarray, reference: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Map the brain's quantiles of ``values`` to those of ``reference``, as ``pairs.intensity`` does with whole
    volumes.

    Piecewise linear through LANDMARKS, a straight line beyond them.
    """
    if brain.sum() < 200:
        return values
    places = np.flatnonzero(brain)[:: max(1, int(brain.sum()) // 8000)]  # enough for landmarks
    ours = np.percentile(values.ravel()[places], LANDMARKS)
    ours = np.maximum.accumulate(ours + 1e-4 * np.arange(len(LANDMARKS)))
    theirs = np.percentile(reference.ravel()[places], LANDMARKS)
    slope = np.clip((theirs[-1] - theirs[0]) / (ours[-1] - ours[0]), 0.3, 3.0)
    beyond = np.minimum(values - ours[0], 0.0) + np.maximum(values - ours[-1], 0.0)
    return (np.interp(values, ours, theirs) + slope * beyond).astype(np.float32)
