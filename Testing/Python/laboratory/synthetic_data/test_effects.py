"""Every effect of a second visit: none at strength 0, as large as it was asked for, the same for the same seed."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import SimpleITK as sitk

from LMIALLib.laboratory.synthetic_data import effects
from LMIALLib.laboratory.synthetic_data.effects import Strengths
from LMIALLib.laboratory.synthetic_data.scanning import GAIN, History, moved_grid, scan
from LMIALLib.pairs.geometry import Grid

NONE = Strengths(**{field.name: 0 for field in fields(Strengths)})
SHAPE = (40, 72, 64)
SPACING = (2.0, 2.0, 2.0)
GRID = Grid(SHAPE[::-1], SPACING[::-1], (3.0, -7.0, 11.0), tuple(np.eye(3).ravel()))


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def ball(centre: tuple[float, float, float], radius: float) -> np.ndarray:
    """Voxels within ``radius`` mm of a voxel index."""
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    offsets = ((z - centre[0]) * 2.0, (y - centre[1]) * 2.0, (x - centre[2]) * 2.0)
    return sum(o**2 for o in offsets) < radius**2


@pytest.fixture(scope="module")
def history() -> History:
    """A round head with a ventricle, a stable, a new and a vanished lesion."""
    brain, ventricles = ball((20, 36, 32), 36.0), ball((20, 36, 32), 12.0)
    new, vanished, stable = ball((20, 22, 32), 6.0), ball((20, 48, 32), 6.0), ball((26, 36, 44), 6.0)
    plain = np.where(ventricles, 0.2, 1.0) * brain
    before, after = (np.where(shown | stable, 1.8, plain).astype(np.float32) for shown in (vanished, new))
    return History(
        grid=GRID,
        before=before,
        after=after,
        lesion_before=(vanished | stable).astype(np.float32),
        lesion_after=(new | stable).astype(np.float32),
        number=(ball((20, 22, 32), 9.0) + 2 * ball((20, 48, 32), 9.0)).astype(np.uint8),
        fates=np.array([0, 2, 5], np.uint8),
        brain=brain,
        ventricles=ventricles,
        stripped=False,
        brain_source="ball",
        shape_sources=("ball",),
    )


@pytest.mark.parametrize("effect", [effects.contrast, effects.scaling, effects.bias, effects.noise])
def test_an_effect_on_brightness_at_strength_zero_is_none_and_is_repeatable(effect, history) -> None:
    assert np.allclose(effect(history.before, rng(1), 0.0), history.before, atol=1e-6)
    changed = effect(history.before, rng(1), 0.2)
    assert not np.allclose(changed, history.before, atol=1e-3)
    assert np.array_equal(changed, effect(history.before, rng(1), 0.2))


@pytest.mark.parametrize("strength", [0.1, 0.3])
def test_contrast_and_scaling_have_their_spread(strength) -> None:
    grey = np.full(1, 0.5, np.float32)
    exponents = [np.log(effects.contrast(grey, rng(n), strength)[0]) / np.log(0.5) for n in range(400)]
    gains = [effects.scaling(grey, rng(n), strength)[0] / 0.5 for n in range(400)]
    assert np.log(exponents).std() == pytest.approx(strength, rel=0.12)
    assert np.log(gains).std() == pytest.approx(strength, rel=0.12)
    fixed = np.array([0.0, 1.0], np.float32)
    assert np.array_equal(effects.contrast(fixed, rng(3), strength), fixed)


@pytest.mark.parametrize("strength", [0.05, 0.2])
def test_bias_is_smooth_and_has_its_spread(strength) -> None:
    field = np.log(effects.bias(np.ones(SHAPE, np.float32), rng(2), strength))
    assert field.std() == pytest.approx(strength, rel=0.01)
    assert max(np.abs(np.diff(field, axis=axis)).max() for axis in range(3)) < strength


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_noise_has_its_spread(correlation) -> None:
    noisy = effects.noise(np.ones(SHAPE, np.float32), rng(4), 0.05, correlation)
    assert noisy.std() == pytest.approx(0.05, rel=0.03)


def test_resolution_spreads_an_edge_as_a_box_would() -> None:
    edge = np.zeros((41, 8, 8), np.float32)
    edge[20:] = 1.0
    assert np.array_equal(effects.resolution(edge, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0)), edge)
    spreads = []
    for thickness in (3.0, 5.0):
        profile = np.diff(effects.resolution(edge, (1.0, 1.0, 1.0), (thickness, 1.0, 1.0))[:, 4, 4])
        places = np.arange(profile.size)
        spreads.append(np.sqrt((profile * (places - 19.0) ** 2).sum()))
    assert spreads == pytest.approx([np.sqrt(8) / 3.2, np.sqrt(24) / 3.2], rel=0.1)


def test_blur_acts_in_plane_only() -> None:
    point = np.zeros((9, 33, 33), np.float32)
    point[4, 16, 16] = 1.0
    seen = effects.resolution(point, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0), blur=2.0)
    assert not np.delete(seen, 4, axis=0).any()
    rows = np.arange(33) - 16.0
    assert np.sqrt((seen[4].sum(axis=1) * rows**2).sum()) == pytest.approx(2.0, rel=0.05)


def test_other_slices_cover_the_same_field_with_other_voxels() -> None:
    other = effects.other_slices(GRID, rng(5), (4.0, 1.0, 1.0), 0.0)
    assert other.spacing == (1.0, 1.0, 4.0) and other.size == (128, 144, 20)
    assert other.direction == pytest.approx(GRID.direction)
    shift = other.corners().mean(axis=0) - GRID.corners().mean(axis=0)
    assert shift[:2] == pytest.approx((0, 0)) and 0 < abs(shift[2]) <= 2.0
    tilted = effects.other_slices(GRID, rng(5), (4.0, 1.0, 1.0), 6.0)
    matrix = np.array(tilted.direction).reshape(3, 3)
    assert 1.0 < np.degrees(np.arccos((np.trace(matrix) - 1) / 2)) < 6.0 * np.sqrt(3)


def test_end_slices_go_missing_at_either_end() -> None:
    assert effects.without_end_slices(GRID, rng(1), 0) == GRID
    grids = [effects.without_end_slices(GRID, rng(n), 4) for n in range(60)]
    assert {grid.size[2] for grid in grids} == {36, 37, 38, 39, 40}
    upper = [grid.corners()[:, 2].max() for grid in grids]
    lower = [grid.corners()[:, 2].min() for grid in grids]
    assert min(upper) < max(upper) == 89.0 and max(lower) > min(lower) == 11.0
    assert effects.without_end_slices(effects.without_end_slices(GRID, rng(0), 0), rng(2), 400).size[2] >= 1


def test_a_rigid_move_is_no_larger_than_asked() -> None:
    centre = np.array([10.0, 20.0, 30.0])
    still = effects.rigid_move(rng(1), 0.0, 0.0, centre)
    assert still.TransformPoint((1.0, 2.0, 3.0)) == pytest.approx((1.0, 2.0, 3.0))
    shifts = [np.array(effects.rigid_move(rng(n), 2.0, 0.4, centre).TransformPoint(centre)) - centre for n in range(50)]
    assert 0.3 < np.abs(shifts).max() <= 0.4
    angles = np.degrees([effects.rigid_move(rng(n), 2.0, 0.4, centre).GetAngleX() for n in range(50)])
    assert 1.5 < np.abs(angles).max() <= 2.0


@pytest.mark.parametrize("strength", [0.0, 0.3, 0.8])
def test_deformation_has_its_size_and_is_smooth(strength) -> None:
    field = effects.deformation(SHAPE, rng(6), strength)
    assert np.sqrt((field**2).sum(axis=0).mean()) == pytest.approx(strength, rel=0.02)
    steepest = max(np.abs(np.gradient(part, 2.0, axis=axis)).max() for part in field for axis in range(3))
    assert steepest <= 0.5 * strength, "a deformation that folds"
    assert np.array_equal(field, effects.deformation(SHAPE, rng(6), strength))


@pytest.mark.parametrize("growth", [0.0, 0.4, 0.8])
def test_atrophy_makes_the_ventricles_grow_by_what_was_asked(growth, history) -> None:
    """Ventricles of 7.2 ml; the later visit's, seen through the displacement, are the earlier visit's: smaller."""
    fine = sitk.GetImageFromArray(history.ventricles.astype(np.float32))
    fine.CopyInformation(GRID.image_of(history.before))
    field = effects.atrophy(history.ventricles.astype(float), SPACING, growth)
    grid = Grid((256, 288, 160), (0.5, 0.5, 0.5), GRID.origin, GRID.direction)
    reference = grid.image_of(np.zeros(grid.shape, np.uint8))
    share = [
        sitk.GetArrayFromImage(sitk.Resample(fine, reference, route, sitk.sitkLinear)).sum() * grid.voxel_ml
        for route in (sitk.Transform(3, sitk.sitkIdentity), effects.displacing(field, GRID))
    ]
    assert share[0] - share[1] == pytest.approx(growth, rel=0.15, abs=0.01)
    far = ~ball((20, 36, 32), 34.0)
    length = np.sqrt((field**2).sum(axis=0))
    assert length[far].max() <= 0.2 * length.max(), "the brain's outline should stay"


def test_atrophy_shows_between_the_scans_and_has_a_limit(history) -> None:
    """Dark voxels of the baseline, whose ventricles are the smaller: 7.2 ml less 1 ml, then less a quarter at most."""
    healed = replace(history, before=np.where(history.ventricles, 0.2, 1.0).astype(np.float32), after=history.before)

    def dark_ml(atrophy: float) -> float:
        image = scan(healed, replace(NONE, atrophy=atrophy), rng(13)).baseline
        return float((sitk.GetArrayFromImage(image) < 0.6 * GAIN).sum()) * Grid.of(image).voxel_ml

    none, some, most = dark_ml(0.0), dark_ml(0.006), dark_ml(0.9)
    assert some < none - 0.25 and most < some
    assert none - most < 0.35 * none


def test_atrophy_without_ventricles_is_none() -> None:
    assert not effects.atrophy(np.zeros(SHAPE), SPACING, 5.0).any()


def test_a_displacement_is_along_the_grid_and_in_millimetres() -> None:
    turned = replace(GRID, direction=(0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    field = np.zeros((3, *SHAPE), np.float32)
    field[0] = 1.5
    middle = turned.corners().mean(axis=0)
    moved = np.array(effects.displacing(field, turned).TransformPoint(middle)) - middle
    assert moved == pytest.approx((0.0, 1.5, 0.0), abs=1e-6)


def test_without_any_effect_both_visits_differ_in_lesions_only(history) -> None:
    thick = replace(history, grid=replace(GRID, spacing=(2.0, 2.0, 2.5)))  # keeps its slices at one visit
    pair = scan(thick, NONE, rng(7))
    grid = Grid.of(pair.follow_up)
    same = sitk.Resample(pair.baseline, pair.follow_up, pair.baseline_from_follow_up, sitk.sitkLinear)
    difference = sitk.GetArrayFromImage(pair.follow_up).astype(float) - sitk.GetArrayFromImage(same)
    inside, outside = difference[pair.truth > 0], difference[(pair.truth == 0) & pair.brain]
    assert np.abs(inside).mean() > 0.4 * GAIN
    assert np.median(np.abs(outside)) < 0.02 * GAIN
    assert (difference[pair.truth == 2] > 0).mean() > 0.9 and (difference[pair.truth == 5] < 0).mean() > 0.9
    assert pair.lesions == {2: 1, 5: 1}
    volume = float((pair.truth == 2).sum()) * grid.voxel_ml
    assert volume == pytest.approx(float(ball((20, 22, 32), 6.0).sum()) * 0.01, rel=0.35)


def test_a_stable_lesion_is_not_reported(history) -> None:
    quiet = replace(history, after=history.before, lesion_after=history.lesion_before)
    for n in range(3):
        pair = scan(quiet, Strengths(), rng(8, n))
        assert not pair.truth.any() and pair.lesions == {}


def test_the_known_move_aligns_the_visits(history) -> None:
    pair = scan(history, replace(Strengths(), missing=0), rng(9))
    reference = sitk.GetArrayFromImage(pair.follow_up)[pair.brain].astype(float)

    def likeness(route: sitk.Transform) -> float:
        seen = sitk.GetArrayFromImage(sitk.Resample(pair.baseline, pair.follow_up, route, sitk.sitkLinear))
        return float(np.corrcoef(seen[pair.brain], reference)[0, 1])

    assert likeness(pair.baseline_from_follow_up) > likeness(sitk.Transform(3, sitk.sitkIdentity)) + 0.05


def test_nothing_is_true_where_one_visit_did_not_look(history) -> None:
    pairs = [scan(history, replace(NONE, missing=30), rng(10, n)) for n in range(4)]
    for pair in pairs:
        covered = sitk.Resample(
            sitk.Cast(pair.baseline * 0 + 1, sitk.sitkUInt8),
            pair.follow_up,
            pair.baseline_from_follow_up,
            sitk.sitkNearestNeighbor,
            0,
        )
        assert not (pair.brain & (sitk.GetArrayFromImage(covered) == 0)).any()
        assert not pair.truth[~pair.brain].any()
    assert any(pair.baseline.GetSize()[2] < SHAPE[0] for pair in pairs)


def test_a_stripped_head_stays_dark_outside(history) -> None:
    pair = scan(replace(history, stripped=True), Strengths(), rng(11))
    image = sitk.GetArrayFromImage(pair.follow_up)
    assert (image == 0).mean() > 0.3 and (image[pair.brain] > 0).mean() > 0.99


def test_a_moved_grid_moves_its_points() -> None:
    move = effects.rigid_move(rng(12), 5.0, 5.0, np.zeros(3))
    expected = [move.TransformPoint(point) for point in GRID.corners()]
    assert moved_grid(GRID, move).corners() == pytest.approx(np.array(expected))
