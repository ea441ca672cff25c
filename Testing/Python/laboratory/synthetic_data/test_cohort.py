"""A cohort on disk: repeatable, whole or absent, and split so that no brain and no shape is on two sides."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from LMIALLib.datasets.open_ms_patient import open_ms_root
from LMIALLib.errors import BadInput, LMIALError, WrongUse
from LMIALLib.files import sha256_of
from LMIALLib.laboratory.synthetic_data import cohort
from LMIALLib.laboratory.synthetic_data.cohort import Cohort, CohortSettings, make_cohort
from LMIALLib.laboratory.synthetic_data.heads import real_heads
from LMIALLib.laboratory.synthetic_data.parts import PARTS, part_of_patients, parts_of

FILES = ("baseline.nii.gz", "brain.nii.gz", "follow_up.nii.gz", "truth.nii.gz")


def write(array: np.ndarray, spacing: tuple[float, float, float], path: Path) -> None:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


@pytest.fixture(scope="module")
def little_open_ms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layout of open_ms with round brains: three scanned patients in each database, six more with masks only."""
    root = tmp_path_factory.mktemp("data") / "open_ms"
    random = np.random.default_rng(1)
    for database, shape, spacing, scanned in (
        ("longitudinal", (34, 76, 68), (2.0, 2.0, 3.5), (1, 2, 3)),
        ("cross_sectional_MNI", (60, 76, 68), (2.0, 2.0, 2.0), (4, 5, 6)),
    ):
        place = np.indices(shape) - np.reshape(shape, (3, 1, 1, 1)) / 2
        distance = np.sqrt((place**2 * np.reshape(spacing[::-1], (3, 1, 1, 1)) ** 2).sum(axis=0))
        brain = distance < 56.0
        for number in range(1, 13):
            folder = root / database / f"patient{number:02d}"
            lesions = np.zeros(shape, np.uint8)
            for _ in range(6):
                z, y, x = (int(random.integers(-n // 6, n // 6)) + n // 2 for n in shape)
                lesions[z : z + 3, y : y + int(random.integers(3, 6)), x : x + 4] = 1
            mask = "gt.nii.gz" if database == "longitudinal" else "lesions.nii.gz"
            write(lesions, spacing, folder / mask)
            write(brain.astype(np.uint8), spacing, folder / "brainmask.nii.gz")
            if number in scanned:
                values = np.where(distance < 14.0, 60.0, 300.0) + 12 * random.standard_normal(shape)
                values = np.where(lesions > 0, 480.0, values) * brain
                name = "study1_FLAIR.nii.gz" if database == "longitudinal" else "FLAIR.nii.gz"
                write(values.astype(np.float32), spacing, folder / name)
                sitk.WriteTransform(sitk.AffineTransform(3), str(folder / "study1_FLAIR_to_common_space.txt"))
    return root


@pytest.fixture(scope="module")
def real(little_open_ms: Path, tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return make_cohort(tmp_path_factory.mktemp("real") / "c", 8, 3, flavour="real", root=little_open_ms)


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return make_cohort(tmp_path_factory.mktemp("phantom") / "c", 2, 5)


def digests(made: Cohort) -> dict[str, str]:
    return {str(p.relative_to(made.folder)): sha256_of(p) for p in sorted(made.folder.rglob("*.nii.gz"))}


def leaks(made: Cohort) -> set[str]:
    """Patients (or phantoms) whose brain or shapes stand on two sides of the split."""
    sides = {
        part: {source.split("/", 1)[1] for s in made.subjects if s.part == part for source in (s.brain, *s.shapes)}
        for part in PARTS
    }
    return sides["train"] & sides["test"] | sides["train"] & sides["validation"] | sides["validation"] & sides["test"]


def test_no_brain_and_no_shape_is_on_two_sides(real: Cohort, phantoms: Cohort) -> None:
    assert {subject.part for subject in real.subjects} == set(PARTS)
    assert leaks(real) == set() == leaks(phantoms)
    assert {subject.part for subject in phantoms.subjects} == {"train", "test"}


def test_layout_and_truth(real: Cohort, phantoms: Cohort) -> None:
    for made in (real, phantoms):
        index = json.loads((made.folder / "cohort.json").read_text())
        assert sorted(p.name for p in made.folder.iterdir()) == ["cohort.json", *(s.name for s in made.subjects)]
        assert made.brains == index["brains"]
        for subject, stored in zip(made.subjects, index["subjects"], strict=True):
            folder = made.folder / subject.name
            assert sorted(p.name for p in folder.iterdir()) == list(FILES)
            baseline, brain, follow_up, truth = (sitk.ReadImage(str(folder / name)) for name in FILES)
            for other in (brain, truth):
                assert other.GetSize() == follow_up.GetSize() and other.GetPixelID() == sitk.sitkUInt8
                assert other.GetOrigin() == follow_up.GetOrigin()
            assert baseline.GetOrigin() != pytest.approx(follow_up.GetOrigin(), abs=0.01)
            values = sitk.GetArrayFromImage(truth)
            assert set(np.unique(values)) <= {0, 2, 3, 4, 5}
            assert not values[sitk.GetArrayFromImage(brain) == 0].any()
            voxel = float(np.prod(truth.GetSpacing())) / 1000
            assert stored["change_ml"]["new"] == pytest.approx(float((values == 2).sum()) * voxel, abs=1e-3)
            assert (stored["lesions"]["new"] > 0) == bool((values == 2).any())
    assert any(sum(subject.change_ml.values()) > 0.1 for subject in real.subjects)
    assert all(sum(subject.change_ml.values()) > 0.02 for subject in phantoms.subjects)


def test_new_lesions_got_brighter_and_vanished_ones_darker(phantoms: Cohort) -> None:
    """Against the tissue around them; nothing is aligned for that, because the follow-up alone shows it."""
    for subject in phantoms.subjects:
        _, brain, follow_up, truth = (
            sitk.GetArrayFromImage(sitk.ReadImage(str(phantoms.folder / subject.name / name))) for name in FILES
        )
        usual = np.median(follow_up[brain > 0])
        assert np.median(follow_up[truth == 2]) > 1.15 * usual


def test_the_same_seed_gives_the_same_bytes(real: Cohort, little_open_ms: Path, tmp_path: Path) -> None:
    again = make_cohort(tmp_path / "again", 8, 3, flavour="real", root=little_open_ms)
    assert digests(again) == digests(real)
    assert again.subjects == real.subjects
    other = make_cohort(tmp_path / "other", 2, 4, flavour="real", root=little_open_ms)
    assert not set(digests(other).values()) & set(digests(real).values())


def test_excluded_patients_are_nowhere(little_open_ms: Path, tmp_path: Path) -> None:
    exclude = ("patient01", "cross_sectional_MNI/patient05", "patient08")
    made = make_cohort(tmp_path / "c", 5, 3, flavour="real", root=little_open_ms, exclude=exclude)
    named = {source for s in made.subjects for source in (s.brain, *s.shapes)}
    assert named and not any(source.endswith(("patient01", "patient08")) for source in named)
    assert "cross_sectional_MNI/patient05" not in named


@pytest.mark.parametrize(
    ("n", "counts"), [(1, (1, 0, 0)), (2, (1, 0, 1)), (3, (1, 1, 1)), (8, (4, 2, 2)), (10, (6, 2, 2))]
)
def test_parts(n, counts) -> None:
    assert tuple(parts_of(n).count(part) for part in PARTS) == counts


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"subjects": 0}, WrongUse, "0 subjects cannot be made"),
        ({"seed": -1}, WrongUse, "seed is 0 or more"),
        ({"flavour": "plastic"}, WrongUse, "'plastic' is unknown"),
        ({"exclude": ("patient01",)}, WrongUse, "none can be excluded"),
        ({"flavour": "real"}, BadInput, "no real scans were found"),
        ({"flavour": "real", "root": Path("/nowhere")}, BadInput, "holds no FLAIR scan"),
    ],
)
def test_impossible_wishes_leave_nothing(change, error, said, tmp_path: Path) -> None:
    wish = {"subjects": 1, "seed": 0, **change}
    with pytest.raises(error, match=said):
        make_cohort(tmp_path / "c", wish.pop("subjects"), wish.pop("seed"), **wish)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_patient_is_not_silently_excluded(little_open_ms: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="patient1 cannot be excluded"):
        make_cohort(tmp_path / "c", 1, 0, flavour="real", root=little_open_ms, exclude=("patient1",))
    everyone = tuple(f"patient{n:02d}" for n in range(1, 7))
    with pytest.raises(WrongUse, match="no brain is left"):
        make_cohort(tmp_path / "c", 1, 0, flavour="real", root=little_open_ms, exclude=everyone)


def test_what_lies_there_stays(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match="not an empty folder"):
        make_cohort(tmp_path, 1, 0)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_a_failure_on_the_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise LMIALError("the light went out.")

    monkeypatch.setattr(cohort, "phantom_history", fails)
    with pytest.raises(LMIALError, match="light"):
        make_cohort(tmp_path / "c", 1, 0, settings=CohortSettings())
    assert list(tmp_path.iterdir()) == []


def test_the_command_refuses_in_one_sentence(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "LMIALLib", "cohort", "make", str(tmp_path / "c"), "--subjects", "0"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2 and "0 subjects cannot be made" in done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""


def test_the_command_makes_a_cohort_and_says_how_many_brains(little_open_ms: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "LMIALLib", "cohort", "make", str(tmp_path / "c"), "--subjects", "2", "--seed", "1"]
    words += ["--flavour", "real", "--data", str(little_open_ms), "--exclude", "patient01"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "2 subjects rest on 2 brains" in done.stdout and "Only 6 patients here have images" in done.stdout
    index = json.loads((tmp_path / "c" / "cohort.json").read_text())
    assert index["command"].startswith("lmial cohort make c --subjects 2 --seed 1 --flavour real")
    assert str(tmp_path) not in (tmp_path / "c" / "cohort.json").read_text()


@pytest.mark.skipif(
    open_ms_root() is None, reason="needs the real scans: set LMIAL_DATA to the folder that holds open_ms"
)
def test_the_eight_real_brains_are_dealt_out() -> None:
    root = open_ms_root()
    assert root is not None
    scanned = {source.split("/")[1] for source, _ in real_heads(root)}
    for seed in range(20):
        dealt = part_of_patients(root, (), seed)
        assert [sum(dealt[name] == part for name in scanned) for part in PARTS] == [4, 2, 2]
        assert {dealt[name] for name in dealt if name not in scanned} == set(PARTS)
        without = part_of_patients(root, ("patient01", "patient12"), seed)
        assert not {"patient01", "patient12"} & set(without)
