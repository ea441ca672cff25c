"""Candidates and features of a voxel."""

from __future__ import annotations

import numpy as np
import pytest

from LMIALLib.adaptation import features as module
from LMIALLib.adaptation.features import UNITS, candidates, features_of, logit_of
from LMIALLib.adaptation.inputs import HeadInputs, inputs_of
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.pair import Pair
from LMIALLib.queries.pool import CaseMaps


def flat(**changes) -> HeadInputs:
    """Three empty slices of 20 x 20."""
    shape = (3, 20, 20)
    given = {name: np.zeros(shape, np.float32) for name in ("mean", "baseline", "follow_up")}
    return HeadInputs(**{**given, "region": np.ones(shape, bool), "spacing": (3.0, 1.0, 1.0), **changes})


def test_candidates_are_where_the_network_or_the_difference_points():
    mean, follow_up = np.zeros((3, 20, 20), np.float32), np.zeros((3, 20, 20), np.float32)
    mean[0, 4, 4] = 0.3
    follow_up[1, 10, 10] = 5.0
    found = candidates(flat(mean=mean, follow_up=follow_up))
    assert found[0, 4, 4]
    assert found[1, 10, 10]
    assert not found[2].any()


def test_nothing_outside_the_region_is_a_candidate():
    region = np.zeros((3, 20, 20), bool)
    assert not candidates(flat(region=region, mean=np.full((3, 20, 20), 0.9, np.float32))).any()
    assert features_of(flat(region=region)).values.shape[0] == 0


def test_candidates_are_bounded(monkeypatch):
    monkeypatch.setattr(module, "MOST_CANDIDATES", 50)
    mean = np.random.default_rng(0).random((3, 20, 20)).astype(np.float32)
    found = candidates(flat(mean=mean))
    assert found.sum() == 50
    assert mean[found].min() > mean[~found].max()


def test_every_feature_is_finite_and_has_a_unit(case):
    features = case.features
    assert np.isfinite(features.values).all()
    assert features.values.shape == (len(features.voxels), len(features.names))
    assert len(set(features.names)) == len(features.names)
    for name in features.names:
        parts = name.split("_")
        assert any("_".join(parts[:n]) in UNITS or "_".join(parts[:n]) + "_score" in UNITS for n in range(1, 5)), name


def test_rows_of_a_slice_are_its_voxels(case):
    features = case.features
    for k in range(features.inputs.n_slices):
        voxels = features.voxels[features.rows_of(k)]
        assert set(voxels // (64 * 60)) <= {k}
        np.testing.assert_array_equal(
            features.values[features.rows_of(k), features.names.index("probability")],
            features.inputs.mean[k].ravel()[features.plane_of(k)],
        )


def test_a_feature_by_hand():
    follow_up = np.zeros((3, 20, 20), np.float32)
    follow_up[1] = 2.0
    features = features_of(flat(follow_up=follow_up, mean=np.full((3, 20, 20), 0.5, np.float32)))
    middle = np.flatnonzero(features.voxels == 1 * 400 + 10 * 20 + 10)[0]
    value = dict(zip(features.names, features.values[middle], strict=True))
    assert value["difference"] == pytest.approx(2.0)
    assert value["difference_above"] == pytest.approx(0.0)
    assert value["difference_across"] == pytest.approx(1.0, abs=1e-5)  # (0 + 2 x 2 + 0) / 4
    assert value["logit"] == pytest.approx(0.0)
    assert value["edge_distance_mm"] == pytest.approx(20.0, abs=15.0)


def test_the_digest_names_the_inputs():
    assert features_of(flat()).digest == features_of(flat()).digest
    assert features_of(flat()).digest != features_of(flat(spacing=(3.0, 1.0, 0.9))).digest


def test_logits_stay_finite():
    np.testing.assert_allclose(logit_of(np.array([0.0, 0.5, 1.0])), [-13.8155, 0.0, 13.8155], atol=0.1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mean": np.zeros((3, 4, 5), np.float32)}, "shape"),
        ({"region": np.ones((3, 20, 20), np.uint8)}, "bool"),
        ({"spacing": (3.0, 0.0, 1.0)}, "spacing"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        flat(**changes)


def test_a_pair_and_its_maps_become_stacks_along_its_slice_axis():
    rng = np.random.default_rng(0)
    volume = rng.random((4, 3, 5)).astype(np.float32)
    grid = Grid((5, 3, 4), (1.0, 3.0, 2.0), (0.0, 0.0, 0.0), tuple(np.eye(3).ravel()))
    pair = Pair(volume, volume + 1.0, volume > 0.5, grid, axis=1)
    mean = rng.random((3, 4, 5)).astype(np.float32)
    maps = CaseMaps("case", mean, pair.stack(pair.mask), pair.stack(pair.difference), slice_spacing=3.0)
    inputs = inputs_of(pair, maps)
    assert inputs.spacing == (3.0, 2.0, 1.0)
    np.testing.assert_array_equal(inputs.baseline[2], volume[:, 2])
    np.testing.assert_array_equal(inputs.region[0], volume[:, 0] > 0.5)
    assert inputs.mean is mean
    assert inputs.variance is None
