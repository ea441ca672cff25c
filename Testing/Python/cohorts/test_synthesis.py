"""Painted change: repeatable, where it should be, and each effect of a second visit does what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, distance_transform_edt

from LMIALLib.cohorts import visits
from LMIALLib.cohorts.backgrounds import background_of, is_excluded, scaled, turned, with_lesions
from LMIALLib.cohorts.painting import _paint_lesion, _take_lesions, slab_of
from LMIALLib.cohorts.shapes import LesionShape, ShapeLibrary, noise_shapes, shapes_of_mask
from LMIALLib.cohorts.synthesis import Synthesis, _moved, synthesise
from LMIALLib.datasets.open_ms_patient import open_ms_root

CALM = Synthesis(
    size=64,
    shift=0.0,
    warp=0.0,
    blur=(0.0, 0.0),
    gamma=0.0,
    bias=0.0,
    noise=(1e-3, 2e-3),
    edge=(0.0, 0.0),
    gain=0.0,
    offset=0.0,
    flow=0.0,
    atrophy=0.0,
    missing=0.0,
)


@pytest.fixture(scope="module")
def background():
    random = np.random.default_rng(3)
    z, y, x = np.ogrid[:11, :110, :100]
    brain = ((z - 5) / 6.0) ** 2 + ((y - 55) / 48.0) ** 2 + ((x - 50) / 44.0) ** 2 < 1
    inner = ((z - 5) / 4.0) ** 2 + ((y - 55) / 9.0) ** 2 + ((x - 50) / 7.0) ** 2 < 1
    volume = np.where(inner, 50.0, 300 + 25 * np.sin(y / 6.0) + 8 * random.standard_normal(brain.shape))
    return background_of("phantom/1", (volume * brain).astype(np.float32), brain, 3.0, 1.0)


@pytest.fixture(scope="module")
def shapes():
    return ShapeLibrary(noise_shapes(1, 40))


def rng(*seed):
    return np.random.default_rng(seed)


def test_same_seed_same_sample(background, shapes):
    first, second = (synthesise(background, shapes, rng(4), Synthesis(size=64)) for _ in range(2))
    assert np.array_equal(first.baseline, second.baseline)
    assert np.array_equal(first.follow_up, second.follow_up)
    assert np.array_equal(first.target, second.target)


def test_shapes_types_and_outside(background, shapes):
    sample = synthesise(background, shapes, rng(5), Synthesis(size=64))
    assert sample.baseline.shape == sample.follow_up.shape == sample.brain.shape == (3, 64, 64)
    assert sample.target.shape == (64, 64)
    assert sample.baseline.dtype == sample.follow_up.dtype == np.float32
    assert set(np.unique(sample.target)) <= {0, 1}
    assert not sample.baseline[~sample.brain].any()
    assert not sample.target[~sample.brain[1]].any()


def test_without_changed_lesions_there_is_no_target(background, shapes):
    quiet = Synthesis(size=64, blank=1.0)
    assert not any(synthesise(background, shapes, rng(6, n), quiet).target.any() for n in range(12))


def test_target_is_where_the_visits_differ(background, shapes):
    inside, outside = [], []
    for n in range(25):
        sample = synthesise(background, shapes, rng(7, n), CALM)
        difference = np.abs(sample.follow_up - sample.baseline)[1]
        inside.append(difference[sample.target == 1])
        outside.append(difference[(sample.target == 0) & sample.brain[1]])
    assert np.concatenate(inside).size > 100
    assert np.median(np.concatenate(inside)) > 4 * np.median(np.concatenate(outside))


def test_change_goes_both_ways(background, shapes):
    signs = []
    for n in range(30):
        sample = synthesise(background, shapes, rng(8, n), CALM)
        if sample.target.sum() > 20:
            signs.append(np.sign(np.mean((sample.follow_up - sample.baseline)[1][sample.target == 1])))
    assert {-1.0, 1.0} <= set(signs)


def test_a_single_slice_can_be_painted(shapes, background):
    flat = background_of("one", background.volume[5:6] * 30 + 300, background.brain[5:6], 3.0, 1.0)
    assert any(synthesise(flat, shapes, rng(9, n), CALM).target.any() for n in range(10))


@pytest.fixture(scope="module")
def outlined(background):
    """The background with two lesions that an expert outlined: a bright one, and one that it does not show."""
    z, y, x = np.ogrid[:11, :110, :100]
    bright = ((z - 5) / 2.5) ** 2 + ((y - 30) / 6.0) ** 2 + ((x - 50) / 6.0) ** 2 < 1
    unseen = ((z - 5) / 2.5) ** 2 + ((y - 80) / 6.0) ** 2 + ((x - 50) / 6.0) ** 2 < 1
    shown = replace(background, volume=background.volume + np.float32(3.0) * bright)
    return with_lesions(shown, bright | unseen), bright, unseen


def test_only_lesions_that_can_be_seen_are_taken_out(outlined):
    found, bright, unseen = outlined
    assert (found.lesions.number[bright] > 0).all()
    assert not found.lesions.number[unseen].any()
    assert found.lesions.depth[bright].max() == 1.0
    assert found.lesions.depth[~bright].max() == 0.0


def test_inpainting_leaves_the_rest_alone_and_removes_the_lesion(outlined):
    found, bright, unseen = outlined
    healthy = found.lesions.healthy
    far = distance_transform_edt(~(bright | unseen), (3, 1, 1)) >= 2
    assert np.array_equal(healthy[far], found.volume[far])
    assert abs(np.median(healthy[bright]) - found.white) < 1.0
    assert np.median((found.volume - healthy)[bright]) > 1.5


def test_outlined_lesions_vanish_whole_shrink_to_their_core_or_stay(outlined, shapes):
    found, bright, _ = outlined
    still = replace(CALM, stable=0, changed=1, blank=0.0)

    def share(settings, n):
        box = tuple(slice(0, side) for side in found.volume.shape)
        slab = slab_of(found, box, np.arange(11) * 3.0, (0, 0, 0))
        _take_lesions(slab, found.lesions, 1.0, rng(12, n), settings)
        return slab.marked[bright].mean(), np.abs(slab.lesioned[0] - slab.lesioned[1])[slab.marked]

    whole, difference = share(replace(still, removed=1.0, eroded=0.0), 0)
    assert whole == 1.0
    assert np.median(difference) > 1.5
    cores = [share(replace(still, removed=0.0, eroded=1.0), n)[0] for n in range(6)]
    assert all(0.05 < core < 1.0 for core in cores)
    assert share(replace(still, removed=0.0, eroded=0.0), 0)[0] == 0.0


def test_a_real_pair_keeps_its_own_truth_and_both_its_visits(background, shapes):
    truth = np.zeros(background.volume.shape, bool)
    truth[3:8, 25:40, 40:60] = True
    earlier = background.volume - np.float32(2.0) * truth
    pair = replace(background, earlier=earlier, truth=truth, anywhere=np.argwhere(truth).astype(np.int32))
    found = [synthesise(pair, shapes, rng(13, n), replace(CALM, blank=1.0, stable=0)) for n in range(20)]
    marked = [sample for sample in found if sample.target.sum() > 30]
    assert len(marked) > 5
    for sample in marked:
        difference = np.abs(sample.follow_up - sample.baseline)[1]
        assert np.median(difference[sample.target == 1]) > 1.0
        assert np.median(difference[(sample.target == 0) & sample.brain[1]]) < 0.3


def test_neighbours_are_neighbours(background, shapes):
    calm = replace(CALM, blank=1.0, stable=0)
    for n in range(6):
        sample = synthesise(background, shapes, rng(14, n), calm)
        inside = sample.brain.all(axis=0)
        if inside.sum() > 500:
            assert not np.array_equal(sample.follow_up[0], sample.follow_up[1])
            assert np.corrcoef(sample.follow_up[0][inside], sample.follow_up[1][inside])[0, 1] > 0.5


def test_missing_slices_leave_the_middle_one(background, shapes):
    missing = replace(CALM, missing=1.0)
    for n in range(6):
        sample = synthesise(background, shapes, rng(15, n), missing)
        assert sum(not plane.any() for plane in sample.brain[[0, 2]]) >= 1
        gone = ~sample.brain.any(axis=(1, 2))
        assert not sample.baseline[gone].any()
        assert not sample.follow_up[gone].any()


def test_shrinkage_follows_its_strength(background):
    place = np.stack(np.meshgrid(np.arange(64.0), np.arange(64.0), indexing="ij")).astype(np.float32)

    def spread(atrophy):
        moved = [_moved(place, background, rng(16, n), replace(CALM, atrophy=atrophy)) for n in range(200)]
        return np.std([np.ptp(m[0]) / 63.0 - 1.0 for m in moved])

    assert spread(0.0) == pytest.approx(0.0, abs=1e-6)
    assert spread(0.01) == pytest.approx(0.01 * np.exp(0.0), rel=0.3)


def test_scaling_is_median_and_quartiles(background):
    values = scaled(background.volume * 17 + 900, background.brain)[background.brain]
    assert np.median(values) == pytest.approx(0, abs=1e-4)
    assert np.subtract(*np.percentile(values, (75, 25))) == pytest.approx(1.349, rel=1e-4)


def test_sites_lie_in_the_brain_sorted_by_slice(background):
    assert background.brain[tuple(background.sites.T)].all()
    assert (np.diff(background.sites[:, 0]) >= 0).all()


def test_turned_background_is_the_same_brain(background):
    other = turned(background, 2)
    assert np.array_equal(other.volume.transpose(1, 2, 0), background.volume)
    assert other.brain[tuple(other.sites.T)].all()
    assert (np.diff(other.sites[:, 0]) >= 0).all()


@pytest.mark.parametrize(
    ("source", "exclude", "out"),
    [
        ("longitudinal/patient01", ["patient01"], True),
        ("cross_sectional_MNI/patient01", ["patient01"], True),
        ("cross_sectional_MNI/patient01", ["longitudinal/patient01"], False),
        ("longitudinal/patient12", ["patient1"], False),
    ],
)
def test_who_is_excluded(source, exclude, out):
    assert is_excluded(source, exclude) is out


def test_shapes_come_from_single_parts_of_a_mask():
    mask = np.zeros((6, 30, 30), bool)
    mask[1:4, 3:9, 3:9] = True
    mask[2, 20:26, 20:27] = True
    mask[5, 28, 28] = True
    found = shapes_of_mask(mask, (3.0, 1.0, 1.0), "here")
    assert sorted(round(s.volume) for s in found) == pytest.approx([126, 324], rel=0.05)


def test_library_prefers_large_shapes():
    small = LesionShape(np.ones((1, 3, 3), np.float32), (1.0, 1.0, 1.0), "small")
    large = LesionShape(np.ones((1, 12, 12), np.float32), (1.0, 1.0, 1.0), "large")
    library, random = ShapeLibrary([small, large]), rng(1)
    drawn = [library.draw(random).source for _ in range(300)]
    assert 0.7 < drawn.count("large") / 300 < 0.9


def test_profiles_sum_to_one_and_thin_slices_keep_theirs():
    positions = np.arange(-12.0, 13.0, 1.0)
    for phase in (0.0, 0.3, 0.9):
        assert visits.resampled_profile(phase, 4.0, positions, 1.0).sum() == pytest.approx(1.0)
    assert visits.overlap(0.0, 1.0, positions, 1.0).tolist() == np.eye(25)[12].tolist()
    assert np.count_nonzero(visits.overlap(0.0, 4.0, positions, 1.0)) == 5


def test_resampling_on_the_slices_themselves_changes_nothing():
    positions = np.arange(-9.0, 10.0, 3.0)
    assert visits.resampled_profile(0.0, 3.0, positions, 3.0) == pytest.approx(np.eye(7)[3])


def test_contrast_curve_is_monotone_and_keeps_zero():
    values = np.linspace(-6, 6, 50)
    for gamma in (0.7, 1.0, 1.4):
        curved = visits.contrast_curve(values, gamma)
        assert (np.diff(curved) > 0).all()
        assert visits.contrast_curve(np.zeros(1), gamma)[0] == pytest.approx(0, abs=1e-6)


def test_smooth_field_is_smooth_and_of_unit_size():
    fields = np.stack([visits.smooth_field(rng(n), (64, 64), 6) for n in range(60)])
    assert fields.std() == pytest.approx(1.0, abs=0.12)
    assert np.abs(np.diff(fields, axis=1)).mean() < 0.12


def test_noise_has_the_strength_that_was_asked_for():
    assert visits.grain(rng(1), (128, 128), 0.3, 0.0).std() == pytest.approx(0.3, rel=0.03)
    assert visits.grain(rng(1), (128, 128), 0.3, 0.8).std() == pytest.approx(0.3, rel=0.03)
    noisy = visits.rician(
        np.zeros((64, 64)), visits.grain(rng(2), (64, 64), 0.2, 0), visits.grain(rng(3), (64, 64), 0.2, 0)
    )
    assert noisy.std() == pytest.approx(0.2, rel=0.1)


def test_matching_undoes_gain_and_offset(background):
    plane, brain = background.volume[5], background.brain[5]
    assert np.allclose(visits.matched(plane * 0.6 + 2.0, plane, brain)[brain], plane[brain], atol=0.02)


@pytest.mark.skipif(
    open_ms_root() is None, reason="needs the real scans: set LMIAL_DATA to the folder that holds open_ms"
)
def test_excluded_patients_lend_no_shape():
    from LMIALLib.cohorts.real_backgrounds import real_shapes

    root = open_ms_root()
    sources = {shape.source for shape in real_shapes(root, ("patient01", "patient12"))}
    assert sources
    assert not any(source.endswith(("patient01", "patient12")) for source in sources)


def test_the_edge_of_painted_lesions_is_as_soft_as_asked(background, shapes):
    def border(edge):
        """Difference just outside the target as a share of that within it."""
        inside, outside = [], []
        for n in range(25):
            sample = synthesise(background, shapes, rng(7, n), replace(CALM, edge=(edge, edge)))
            difference = np.abs(sample.follow_up - sample.baseline)[1]
            near = binary_dilation(sample.target, iterations=2) & (sample.target == 0) & sample.brain[1]
            inside.append(difference[sample.target == 1])
            outside.append(difference[near])
        return np.mean(np.concatenate(outside)) / np.mean(np.concatenate(inside))

    assert border(2.0) > 1.3 * border(0.0)


def test_an_active_lesion_grows_and_brightens_and_is_change_as_a_whole(background, shapes):
    box = (slice(0, 11), slice(0, 110), slice(0, 100))
    slab = slab_of(background, box, (np.arange(11) - 5) * 3.0, (0, 0, 0))
    _paint_lesion(slab, background, np.array([5.0, 55.0, 25.0]), "active", shapes, rng(11), CALM)
    earlier, later = (visit - background.volume for visit in slab.lesioned)
    assert (later > 0.2).sum() > (earlier > 0.2).sum() > 0
    assert later.max() > earlier.max() > 0
    assert not slab.occupancy[0].any() and slab.occupancy[1].max() > 0.9
