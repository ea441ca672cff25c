"""The synthetic pair: plausible, reproducible, truly misaligned, with a truth that the voxels bear out."""

from __future__ import annotations

from dataclasses import asdict, fields

import numpy as np
import pytest

from LMIALLib.cohorts.anatomy import HEAD_SPACING, VENTRICLE, WHITE, Head
from LMIALLib.cohorts.lesions import ENLARGED, NEW, SHRUNK, VANISHED, LesionCounts, place_lesions
from LMIALLib.cohorts.phantom import (
    DEMO,
    DEMO_SEED,
    TRAINING,
    TRAINING_SEEDS,
    Phantom,
    make_phantom,
    write_phantom,
)
from LMIALLib.pairs.geometry import Grid

sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")


@pytest.fixture(scope="module")
def demo() -> Phantom:
    return make_phantom(DEMO_SEED, appearance=DEMO)


@pytest.fixture(scope="module")
def aligned(demo: Phantom) -> tuple[np.ndarray, np.ndarray]:
    """Baseline brought to the follow-up's grid by the known transform, and the follow-up; float arrays (k, j, i)."""
    moved = sitk.Resample(demo.baseline, demo.follow_up, demo.baseline_from_follow_up, sitk.sitkLinear)
    return sitk.GetArrayFromImage(moved).astype(float), sitk.GetArrayFromImage(demo.follow_up).astype(float)


def test_grids_differ_and_are_oblique(demo: Phantom) -> None:
    assert demo.follow_up.GetSpacing()[2] == pytest.approx(3.0)
    assert demo.baseline.GetSpacing()[2] == pytest.approx(4.0)
    for image in (demo.baseline, demo.follow_up):
        assert image.GetPixelID() == sitk.sitkInt16
        matrix = np.array(image.GetDirection()).reshape(3, 3)
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-9)
        assert np.abs(matrix - np.eye(3)).max() > 0.03
    assert demo.truth.shape == demo.brain.shape == Grid.of(demo.follow_up).shape


def test_truth_has_every_kind_of_change_in_a_minority_of_slices(demo: Phantom) -> None:
    assert demo.truth.dtype == np.uint8
    assert set(np.unique(demo.truth)) == {0, NEW, ENLARGED, SHRUNK, VANISHED}
    changed = (demo.truth > 0).any(axis=(1, 2)).sum()
    assert 8 <= changed <= 15
    assert changed < 0.4 * len(demo.truth)
    assert demo.brain[demo.truth > 0].all()


def test_brain_has_a_human_volume(demo: Phantom) -> None:
    assert 1000 < demo.brain.sum() * Grid.of(demo.follow_up).voxel_ml < 1800


def test_truth_agrees_with_the_voxels(demo: Phantom, aligned: tuple[np.ndarray, np.ndarray]) -> None:
    baseline, follow_up = (v / np.median(v[demo.brain]) for v in aligned)
    for value, sign in ((NEW, 1), (ENLARGED, 1), (SHRUNK, -1), (VANISHED, -1)):
        assert sign * np.mean((follow_up - baseline)[demo.truth == value]) > 0.15, value


def test_known_transform_aligns_better_than_none_or_a_shifted_one(
    demo: Phantom, aligned: tuple[np.ndarray, np.ndarray]
) -> None:
    def likeness(transform: sitk.Transform) -> float:
        moved = sitk.GetArrayFromImage(sitk.Resample(demo.baseline, demo.follow_up, transform, sitk.sitkLinear))
        return float(np.corrcoef(moved[demo.brain], aligned[1][demo.brain])[0, 1])

    known = likeness(demo.baseline_from_follow_up)
    assert known > 0.7
    assert likeness(sitk.Transform(3, sitk.sitkIdentity)) < known - 0.1
    for axis in range(3):
        for millimetres in (-2.0, 2.0):
            move = np.zeros(3)
            move[axis] = millimetres
            shift = sitk.TranslationTransform(3, [float(v) for v in move])
            assert likeness(sitk.CompositeTransform([shift, demo.baseline_from_follow_up])) < known


def test_same_seed_gives_the_same_voxels_and_another_seed_another_head(demo: Phantom) -> None:
    again, other = make_phantom(DEMO_SEED, appearance=DEMO), make_phantom(DEMO_SEED + 1, appearance=DEMO)
    for name in ("baseline", "follow_up"):
        first, second, third = (sitk.GetArrayFromImage(getattr(p, name)) for p in (demo, again, other))
        np.testing.assert_array_equal(first, second)
        assert (first != third).mean() > 0.3
    np.testing.assert_array_equal(demo.truth, again.truth)
    assert demo.baseline_from_follow_up.GetParameters() == again.baseline_from_follow_up.GetParameters()


def test_written_files_come_back(demo: Phantom, tmp_path) -> None:
    write_phantom(demo, tmp_path / "häd 1")
    found = {p.name for p in (tmp_path / "häd 1").iterdir()}
    assert found == {"baseline.nii.gz", "follow_up.nii.gz", "truth.nii.gz", "brain.nii.gz", "transform.tfm"}
    truth = sitk.ReadImage(str(tmp_path / "häd 1" / "truth.nii.gz"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(truth), demo.truth)
    follow_up = sitk.ReadImage(str(tmp_path / "häd 1" / "follow_up.nii.gz"))
    assert Grid.of(follow_up).same_as(Grid.of(demo.follow_up), 1e-3)
    transform = sitk.ReadTransform(str(tmp_path / "häd 1" / "transform.tfm"))
    point = (10.0, -20.0, 30.0)
    assert transform.TransformPoint(point) == pytest.approx(
        demo.baseline_from_follow_up.TransformPoint(point), abs=1e-4
    )


def test_demo_lies_outside_training() -> None:
    assert DEMO_SEED not in TRAINING_SEEDS
    training, demo = asdict(TRAINING), asdict(DEMO)
    for name in ("elongation", "ventricles", "csf", "grey", "bias", "grain"):
        assert demo[name][1] < training[name][0] or demo[name][0] > training[name][1], name
    assert all(value[0] <= value[1] for value in [*training.values(), *demo.values()] if isinstance(value, tuple))


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="not -1"):
        make_phantom(-1)


def _ball_of_white_matter() -> Head:
    tissue = np.full((94, 212, 168), WHITE, dtype=np.uint8)
    tissue[40:46, 100:110, 80:90] = VENTRICLE
    to_ventricle = np.full(tissue.shape, 20.0, dtype=np.float32)
    to_ventricle[36:50, 96:114, 76:94] = 3.0
    return Head(tissue, np.zeros(tissue.shape, dtype=np.float32), tissue > 0, to_ventricle)


def test_lesions_have_the_fate_they_were_given() -> None:
    counts = LesionCounts(stable=3, new=2, enlarged=1, shrunk=1, vanished=1)
    lesions = place_lesions(_ball_of_white_matter(), counts, (3.0, 5.0), 60.0, np.random.default_rng(1))
    before, after = lesions.before >= 0.5, lesions.after >= 0.5
    new, enlarged, shrunk, vanished = (lesions.fate == v for v in (NEW, ENLARGED, SHRUNK, VANISHED))
    assert after[new].any() and not lesions.before[new].any()
    assert before[vanished].any() and not lesions.after[vanished].any()
    assert (after & ~before)[enlarged].any() and before[enlarged].any() and not (before & ~after)[enlarged].any()
    assert (before & ~after)[shrunk].any() and after[shrunk].any() and not (after & ~before)[shrunk].any()
    np.testing.assert_array_equal(lesions.before[lesions.fate == 0], lesions.after[lesions.fate == 0])


def test_changed_lesions_touch_no_more_levels_than_allowed() -> None:
    counts = LesionCounts(stable=0, **{f.name: 2 for f in fields(LesionCounts) if f.name != "stable"})
    lesions = place_lesions(_ball_of_white_matter(), counts, (3.0, 5.0), 30.0, np.random.default_rng(2))
    differs = np.abs(lesions.after - lesions.before).max(axis=(1, 2)) >= 0.5
    assert differs.sum() * HEAD_SPACING[0] <= 30.0
