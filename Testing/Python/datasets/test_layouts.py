"""What each data-set layout finds, and how a mask from outside becomes the truth of a pair."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from LMIALLib.datasets import LayoutCase, Listing, list_cases
from LMIALLib.datasets.open_ms_patient import open_ms_pair
from LMIALLib.datasets.truths import STRONG, MaskOfChange, in_doubt, percent, read_mask_of_change
from LMIALLib.errors import BadInput, WrongUse
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.pair import Pair
from LMIALLib.study import UNREAD, LabelSchema
from LMIALLib.study.segmentation_file import Segment, write_segmentation

SCHEMA = LabelSchema.default()
T1, T2 = "flair_time01_on_middle_space.nii.gz", "flair_time02_on_middle_space.nii.gz"


def files(root: Path, *names: str) -> Path:
    """Empty files: a layout looks which are there, not what is in them."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def pairs_of(listing: Listing) -> list[tuple[str, str, str, str]]:
    """Name, subject and the scans' names of each case."""
    return [(c.name, c.subject, c.baseline.name, c.follow_up.name) for c in listing.cases]


# MSSEG-2 -------------------------------------------------------------------------------------------------------


def test_msseg2_as_distributed(tmp_path: Path) -> None:
    experts = [f"training/013/ground_truth_expert{n}.nii.gz" for n in (1, 2, 3, 4)]
    files(tmp_path, f"training/013/{T1}", f"training/013/{T2}", "training/013/ground_truth.nii.gz", *experts)
    files(tmp_path, *(f"training/100/{name.removesuffix('.gz')}" for name in (T1, T2, "ground_truth.nii")))
    files(tmp_path, f"testing/018/{T1}", f"testing/018/{T2}", "testing/018/brain_mask.nii.gz")
    files(tmp_path, f"training/020/{T2}", "training/020/ground_truth.nii.gz")
    (tmp_path / "training" / "026").mkdir()
    found = list_cases("msseg2", tmp_path)
    assert [c.name for c in found.cases] == ["018", "013", "100"]
    first = {c.name: c for c in found.cases}["013"]
    assert (first.truth, first.covers) == (tmp_path / "training/013/ground_truth.nii.gz", ("new",))
    untold = {c.name: c for c in found.cases}["018"]
    assert (untold.truth, untold.covers, untold.mask) == (None, (), tmp_path / "testing/018/brain_mask.nii.gz")
    assert [(one.case, one.sentence.endswith("without truth.")) for one in found.notes] == [("018", True)]
    left = {one.case: one.sentence for one in found.left_out}
    assert left.keys() == {"020", "026"}
    assert f"{T1} missing" in left["020"] and T2 not in left["020"]
    assert T1 in left["026"] and T2 in left["026"]


def test_msseg2_tells_equal_names_apart_and_takes_one_patient(tmp_path: Path) -> None:
    for place in ("training/013", "testing/013"):
        files(tmp_path, *(f"{place}/{name}" for name in (T1, T2, "ground_truth.nii.gz")))
    assert [c.name for c in list_cases("msseg2", tmp_path).cases] == ["testing-013", "training-013"]
    assert [c.name for c in list_cases("msseg2", tmp_path / "training" / "013").cases] == ["013"]
    with pytest.raises(BadInput, match="no patient of MSSEG-2"):
        list_cases("msseg2", files(tmp_path / "other", "scan.nii.gz"))


# BIDS ----------------------------------------------------------------------------------------------------------


def test_bids_gives_consecutive_pairs_in_the_order_of_time(tmp_path: Path) -> None:
    for n in (1, 2, 10):
        files(tmp_path, f"sub-01/ses-{n}/anat/sub-01_ses-{n}_FLAIR.nii.gz")
    assert pairs_of(list_cases("bids", tmp_path)) == [
        ("sub-01_ses-1_ses-2", "sub-01", "sub-01_ses-1_FLAIR.nii.gz", "sub-01_ses-2_FLAIR.nii.gz"),
        ("sub-01_ses-2_ses-10", "sub-01", "sub-01_ses-2_FLAIR.nii.gz", "sub-01_ses-10_FLAIR.nii.gz"),
    ]
    table = "session_id\tacq_time\nses-1\t2020-05-01T10:00:00\nses-2\t2019-03-01\nses-10\t{}\n"
    times = tmp_path / "sub-01" / "sub-01_sessions.tsv"
    times.write_text(table.format("2021-01-01T00:00:00Z"), encoding="utf-8-sig")
    assert [c.name for c in list_cases("bids", tmp_path).cases] == ["sub-01_ses-2_ses-1", "sub-01_ses-1_ses-10"]
    times.write_text(table.format("n/a"))  # then dates order nothing, but what they say is not what names say
    found = list_cases("bids", tmp_path)
    assert not found.cases and "--order 1,2,10" in found.left_out[0].sentence
    times.write_text(table.replace("2019-03-01", "2021-03-01").format("n/a"))
    assert [c.name for c in list_cases("bids", tmp_path).cases] == ["sub-01_ses-1_ses-2", "sub-01_ses-2_ses-10"]


def test_bids_contrast_extra_scans_and_what_is_left_out(tmp_path: Path) -> None:
    files(
        tmp_path,
        "sub-02/ses-a/anat/sub-02_ses-a_T1w.nii", "sub-02/ses-b/anat/sub-02_ses-b_T1w.nii.gz",
        "sub-02/ses-b/anat/sub-02_ses-b_acq-2d_T1w.nii.gz", "sub-02/ses-a/anat/sub-02_ses-a_FLAIR.nii.gz",
        "sub-03/anat/sub-03_T1w.nii.gz",
    )  # fmt: skip
    found = list_cases("bids", tmp_path, contrast="T1w")
    assert pairs_of(found) == [
        ("sub-02_ses-a_ses-b", "sub-02", "sub-02_ses-a_T1w.nii", "sub-02_ses-b_T1w.nii.gz"),
    ]
    assert [one.case for one in found.left_out] == ["sub-03"] and "2 scans end in _T1w" in found.notes[0].sentence
    assert [one.case for one in list_cases("bids", tmp_path).left_out] == ["sub-02", "sub-03"]
    with pytest.raises(WrongUse, match="suffix"):
        list_cases("bids", tmp_path, contrast="../x")


def test_bids_names_that_a_study_cannot_use_become_the_same_pseudonym_every_time(tmp_path: Path) -> None:
    long = "sub-" + "a" * 50
    for n in (1, 2):
        files(tmp_path, f"{long}/ses-{n}/anat/{long}_ses-{n}_FLAIR.nii.gz")
    (case,) = list_cases("bids", tmp_path).cases
    assert case.name.startswith("case-") and case.subject.startswith("subject-") and len(case.name) < 41
    assert list_cases("bids", tmp_path).cases == (case,)


@pytest.mark.parametrize(
    ("name", "covers"),
    [
        ("desc-change_mask", ()),
        ("label-changedLesions_dseg", ()),
        ("label-newlesion_mask", ("new",)),
        ("space-FLAIR_desc-new_mask", ("new",)),
        ("space-MNI152_desc-change_mask", None),
        ("label-lesion_mask", None),
        ("desc-renewed_mask", None),
        ("desc-change_probseg", None),
    ],
)
def test_bids_masks_of_change_in_derivatives(tmp_path: Path, name: str, covers: tuple[str, ...] | None) -> None:
    for n in (1, 2):
        files(tmp_path, f"sub-01/ses-{n}/anat/sub-01_ses-{n}_FLAIR.nii.gz")
    truth = tmp_path / "derivatives" / "experts" / "sub-01" / "ses-2" / "anat" / f"sub-01_ses-2_{name}.nii.gz"
    files(tmp_path, str(truth.relative_to(tmp_path)))
    found = list_cases("bids", tmp_path)
    assert (found.cases[0].truth, found.cases[0].covers) == ((None, ()) if covers is None else (truth, covers))
    notes = [one.sentence for one in found.notes if "are in this order" not in one.sentence]
    assert [note.endswith("not used.") for note in notes] == ([True] if "label-lesion" in name else [])


# open-ms -------------------------------------------------------------------------------------------------------


def test_open_ms_takes_whole_pairs_and_names_the_rest(tmp_path: Path) -> None:
    whole = ("study1_FLAIR.nii.gz", "study2_FLAIR.nii.gz", "study2_FLAIR_to_common_space.txt", "gt.nii.gz")
    files(tmp_path, *(f"open_ms/longitudinal/patient01/{name}" for name in whole))
    files(tmp_path, "open_ms/longitudinal/patient02/gt.nii.gz", "open_ms/longitudinal/patient02/brainmask.nii.gz")
    files(tmp_path, *(f"open_ms/longitudinal/patient04/{name}" for name in (whole[0], whole[3])))
    files(tmp_path, *(f"open_ms/longitudinal/patient05/{name}" for name in whole[:3]))
    for root in (tmp_path, tmp_path / "open_ms", tmp_path / "open_ms" / "longitudinal"):
        found = list_cases("open-ms", root)
        assert [c.name for c in found.cases] == ["patient01"]
    left = {one.case: one.sentence for one in found.left_out}
    assert "masks only" in left["patient02"] and "one time point" in left["patient04"] and "gt" in left["patient05"]


def test_open_ms_truth_is_the_one_that_the_database_gives(open_ms: Path) -> None:
    found = list_cases("open-ms", open_ms)
    assert {c.name for c in found.cases} == {"patient01", "patient12"} and len(found.left_out) == 16
    case = found.cases[0]
    follow_up = sitk.ReadImage(str(case.follow_up))
    shape = follow_up.GetSize()[::-1]
    pair = Pair(np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.ones(shape, bool), Grid.of(follow_up), 0)
    assert case.truth is not None
    truth = read_mask_of_change(case.truth, case.covers, SCHEMA, to_follow_up=case.truth_to_follow_up).on(pair)
    assert np.array_equal(truth == 1, open_ms_pair(case.truth.parent).truth_on(follow_up))
    assert set(np.unique(truth)) <= {0, 1, UNREAD}


# CSV -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("separator", "encoding"), [(",", "utf-8"), (";", "utf-8-sig"), (";", "utf-8")])
def test_csv_of_paths(tmp_path: Path, separator: str, encoding: str) -> None:
    files(tmp_path, "a/one.nii.gz", "a/two.nii.gz", "a/change.nii.gz")
    lines = [
        ["Case", "subject", "baseline", "follow_up", "truth", "covers", "baseline_date", "follow_up_date", "site"],
        ["c1", "Müller-Pseudonym", "a/one.nii.gz", "a/two.nii.gz", "a/change.nii.gz", "new enlarged", "", "", "x"],
        ["", "", "", "", "", "", "", "", ""],
        ["c2", "s2", "a/two.nii.gz", "a/one.nii.gz", "", "", "2014-03-02", "2015-03-02"],
    ]
    text = "\r\n".join(separator.join(line) for line in lines)
    (tmp_path / "pairs.csv").write_bytes(text.encode(encoding))
    found = list_cases("csv", tmp_path / "pairs.csv")
    assert found == list_cases("csv", tmp_path), "the only table of a folder"
    assert pairs_of(found)[1] == ("c2", "s2", "two.nii.gz", "one.nii.gz") and found.left_out == ()
    first = found.cases[0]
    assert (first.subject, first.covers) == ("Müller-Pseudonym", ("new", "enlarged"))
    assert first.truth == tmp_path / "a" / "change.nii.gz"
    assert "site" in found.notes[0].sentence


def test_csv_rows_that_cannot_be_used_are_named_by_line(tmp_path: Path) -> None:
    files(tmp_path, "one.nii", "two.nii")
    rows = [
        "case,subject,baseline,follow_up,mask,covers,baseline_date,follow_up_date",
        "good,s1,one.nii,two.nii,,,,",
        "GOOD,s1,one.nii,two.nii,,,,",
        "../out,s2,one.nii,two.nii,,,,",
        "no-file,s3,one.nii,three.nii,,,,",
        "no-mask,s3,one.nii,two.nii,brain.nii,,,",
        "short,s4,one.nii",
        "covers,s5,one.nii,two.nii,,new,,",
        "swapped,s6,one.nii,two.nii,,,2015-01-01,2014-01-01",
        "day,s7,one.nii,two.nii,,,1.2.2014,",
        "formula,=s,one.nii,two.nii,,,,",
    ]
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    found = list_cases("csv", tmp_path / "pairs.csv")
    assert [c.name for c in found.cases] == ["good"]
    said = ["twice", "../out", "three.nii", "brain.nii", "follow_up is empty", "no truth", "swapped", "1.2.2014", "=s"]
    assert len(found.left_out) == len(said)
    for number, (remark, fragment) in enumerate(zip(found.left_out, said, strict=True), start=3):
        assert f"pairs.csv, line {number}:" in remark.sentence and fragment in remark.sentence


@pytest.mark.parametrize(
    "nothing", ["NA", "n/a", "NaN", "nan", "None", "-", "", " ", "null", "<NA>", "N.A.", "#N/A", "\u2013", "NULL"]
)
def test_a_cell_that_says_nothing_is_empty(tmp_path: Path, nothing: str) -> None:
    files(tmp_path, "one.nii", "two.nii")
    optional = ["mask", "truth", "covers", "outside", "baseline_date", "follow_up_date"]
    rows = [
        f"case,subject,baseline,follow_up,{','.join(optional)}",
        f"A,s1,one.nii,two.nii,{','.join([nothing] * len(optional))}",
        f"B,s2,one.nii,{nothing}{',x' * len(optional)}",
    ]
    (tmp_path / "pairs.csv").write_text("\n".join(rows), encoding="utf-8")
    found = list_cases("csv", tmp_path)
    assert found.cases == (LayoutCase("A", "s1", tmp_path / "one.nii", tmp_path / "two.nii"),)
    assert [one.sentence for one in found.left_out] == ["pairs.csv, line 3: follow_up is empty."]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"case,baseline,follow_up\n", "missing: subject"),
        (b"", "there are: none"),
        ("case,subject\nä".encode("latin-1"), "UTF-8"),
        (b'case,subject,baseline,follow_up\n"a,b', "cannot be read as CSV"),
    ],
)
def test_csv_that_is_no_such_table(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "pairs.csv").write_bytes(content)
    with pytest.raises(BadInput, match=said):
        list_cases("csv", tmp_path / "pairs.csv")


# Whatever the layout -------------------------------------------------------------------------------------------


def test_only_some_subjects_and_wrong_use(tmp_path: Path) -> None:
    for subject in ("sub-1", "sub-2", "sub-3"):
        for n in (1, 2):
            files(tmp_path, f"{subject}/ses-{n}/anat/{subject}_ses-{n}_FLAIR.nii.gz")
    assert [c.subject for c in list_cases("bids", tmp_path, subjects=["sub-3", "sub-1"]).cases] == ["sub-1", "sub-3"]
    with pytest.raises(BadInput, match="no subject sub-9; there are: sub-1, sub-2, sub-3"):
        list_cases("bids", tmp_path, subjects=["sub-9"])
    with pytest.raises(WrongUse, match="layout 'dicom'"):
        list_cases("dicom", tmp_path)
    with pytest.raises(WrongUse, match="contrast"):
        list_cases("msseg2", tmp_path, contrast="T1w")
    (tmp_path / "sub-1" / "sub-1_sessions.tsv").write_bytes(b"session_id\tacq_time\n\x00\xff" + b"x" * 200_000)
    assert len(list_cases("bids", tmp_path).cases) == 3, "a table that cannot be read dates nothing"
    for layout in ("bids", "msseg2", "open-ms", "csv"):
        with pytest.raises(BadInput, match="no such"):
            list_cases(layout, tmp_path / "nowhere")


# Truths --------------------------------------------------------------------------------------------------------


def flat_pair(difference: np.ndarray) -> Pair:
    """A pair of 1 mm voxels whose scans differ as told, brain everywhere but in the first row."""
    mask = np.ones(difference.shape, bool)
    mask[:, 0] = False
    grid = Grid(difference.shape[::-1], (1.0, 1.0, 3.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    return Pair(np.zeros(difference.shape, np.float32), difference.astype(np.float32), mask, grid, 0)


def written(path: Path, values: np.ndarray, grid: Grid) -> Path:
    sitk.WriteImage(grid.image_of(values), str(path))
    return path


def test_unmarked_voxels_are_ignored_where_the_truth_cannot_know(tmp_path: Path) -> None:
    difference = np.zeros((4, 30, 30))
    difference[1, 5:12, 5:12] = 3.0  # new, and marked
    difference[1, 5:12, 18:25] = 3.0  # brighter, unmarked: counts as not new
    difference[1, 18:25, 5:12] = -3.0  # darker: may have shrunk or vanished
    difference[2, 18:25, 5:12] = -0.5 * STRONG  # not strongly
    difference[3, 20, 20] = -3.0  # noise of one voxel
    pair = flat_pair(difference)
    mask = np.zeros(pair.mask.shape, np.uint8)
    mask[1, 5:12, 5:12] = 1
    mask[1, 18:20, 5:7] = 1  # what the expert marks is never ignored
    read = read_mask_of_change(written(tmp_path / "gt.nii.gz", mask, pair.grid), ("new",), SCHEMA)
    truth = read.on(pair)
    assert np.array_equal(truth == 2, mask == 1), "marked voxels are new lesions"
    assert (truth[1, 20:24, 6:11] == UNREAD).all()
    assert not (truth[[0, 2, 3]] == UNREAD).any() and not (truth[1, 5:12, 18:25] != 0).any()
    assert not (truth[:, 0] == UNREAD).any(), "nothing is in doubt outside the brain"


def test_noise_alone_is_hardly_ever_in_doubt() -> None:
    noise = np.random.default_rng(0).normal(0.0, 8.0, (6, 64, 64))
    assert in_doubt(flat_pair(noise), ["new"]).mean() < 0.005


def test_doubt_follows_what_is_covered() -> None:
    difference = np.zeros((3, 20, 20))
    difference[1, 4:10, 4:10], difference[1, 12:18, 12:18] = 3.0, -3.0
    pair = flat_pair(difference)
    bright, dark = (slice(1, 2), slice(5, 9), slice(5, 9)), (slice(1, 2), slice(13, 17), slice(13, 17))
    assert in_doubt(pair, ["new", "enlarged"])[dark].all() and not in_doubt(pair, ["new", "enlarged"])[bright].any()
    assert in_doubt(pair, ["shrunk"])[bright].all() and not in_doubt(pair, ["shrunk"])[dark].any()
    for covers in (["new", "vanished"], ["change"], ["change", "new"], [c.name for c in SCHEMA.classes]):
        assert not in_doubt(pair, covers).any()


@pytest.mark.parametrize(
    ("values", "covers", "expected"),
    [
        ([0, 1, 1], (), [0, 1, 1]),
        ([0, 255, 255], (), [0, 1, 1]),
        ([0, 255, 255], ("new",), [0, 2, 2]),
        ([0, 0, 0], ("new",), [0, 0, 0]),
        ([2, 3, 255], (), [2, 3, 255]),
        ([0, 2, 4], ("new", "enlarged"), [0, 2, 255]),
        ([0, 3, 3], ("new",), [0, 255, 255]),
        ([0, 7, 9], (), "values 7, 9"),
        ([0, 1, 1], ("new", "enlarged"), "may be any of new, enlarged"),
        ([0, 1, 1], ("growing",), "growing"),
    ],
)
def test_values_of_a_mask_of_change(
    tmp_path: Path, values: list[int], covers: tuple[str, ...], expected: list[int] | str
) -> None:
    pair = flat_pair(np.zeros((4, 5, 6)))
    mask = np.zeros(pair.mask.shape, np.uint8)
    mask[2, 2, 2:5] = values
    path = written(tmp_path / "truth.nii.gz", mask, pair.grid)
    if isinstance(expected, str):
        with pytest.raises(BadInput, match=expected):
            read_mask_of_change(path, covers, SCHEMA)
    else:
        assert read_mask_of_change(path, covers, SCHEMA).values[2, 2, 2:5].tolist() == expected


def test_a_truth_on_another_grid_is_brought_over_and_ends_where_it_ends() -> None:
    pair = flat_pair(np.zeros((4, 12, 12)))
    half = Grid((12, 12, 2), (1.0, 1.0, 3.0), (0.0, 0.0, 3.0), pair.grid.direction)
    values = np.zeros(half.shape, np.uint8)
    values[0, 4:6, 7] = 1
    truth = MaskOfChange(Path("gt.nii"), values, half, None, ("change",)).on(pair)
    assert (truth[[0, 3]] == UNREAD).all() and np.array_equal(truth[1:3], values)
    away = Grid(half.size, half.spacing, (500.0, 0.0, 0.0), half.direction)
    with pytest.raises(BadInput, match="no part of the follow-up's brain"):
        MaskOfChange(Path("gt.nii"), values, away, None, ("change",)).on(pair)


def box_truth(path: Path, pair: Pair) -> Path:
    """Slices 1 and 2, rows 4 to 7, columns 3 to 8, where the scan has 1 x 1 x 3 mm and its first voxel at 0."""
    values = np.zeros((2, 4, 6), np.uint8)
    values[0, 1:3, 2] = 1  # rows 5 and 6 of slice 1, column 5
    return written(path, values, Grid((6, 4, 2), (1.0, 1.0, 3.0), (3.0, 4.0, 3.0), pair.grid.direction))


@pytest.mark.parametrize(
    ("outside", "beyond", "unknown", "said"),
    [
        # The region is 4 slices of 11 rows and 12 columns, 528 voxels; the box holds 2 x 4 x 6 = 48 of them, 9.1 %.
        (None, UNREAD, 480 / 528, "box that holds 9 % of the brain region.*unknown, so that 91 % of the region"),
        ("unknown", UNREAD, 480 / 528, "unknown, so that 91 %"),
        ("background", 0, 0.0, "without change, so that 0 % of the region is unknown"),
    ],
)
def test_a_label_map_cut_to_a_box_says_what_is_outside(
    tmp_path: Path, outside: str | None, beyond: int, unknown: float, said: str
) -> None:
    pair = flat_pair(np.zeros((4, 12, 12)))
    read = read_mask_of_change(box_truth(tmp_path / "box.nii.gz", pair), (), SCHEMA, outside=outside)
    truth = read.placed_on(pair)
    expected = np.full(pair.mask.shape, beyond, np.uint8)
    expected[1:3, 4:8, 3:9] = 0
    expected[1, 5:7, 5] = 1
    assert np.array_equal(truth.values, expected)
    assert truth.unknown == pytest.approx(unknown) and re.search(said, truth.sentence)
    turned = sitk.DICOMOrient(sitk.ReadImage(str(tmp_path / "box.nii.gz")), "RAS")
    sitk.WriteImage(turned, str(tmp_path / "ras.nii.gz"))
    again = read_mask_of_change(tmp_path / "ras.nii.gz", (), SCHEMA, outside=outside).placed_on(pair)
    assert np.array_equal(again.values, expected)
    with pytest.raises(WrongUse, match="background or unknown"):
        read_mask_of_change(tmp_path / "box.nii.gz", (), SCHEMA, outside="nothing")


def test_a_share_is_never_rounded_to_nothing_or_all() -> None:
    shares = {0.0: "0 %", 0.00012: "0.012 %", 0.009: "0.9 %", 0.01: "1 %", 0.914: "91 %", 0.9951: "99.5 %"}
    shares |= {0.99999: "99.9 %", 1.0: "100 %"}
    assert {share: percent(share) for share in shares} == shares


def test_a_truth_that_covers_all_says_nothing_and_one_that_is_larger_is_cut(tmp_path: Path) -> None:
    pair = flat_pair(np.zeros((4, 12, 12)))
    wide = Grid((14, 12, 4), (1.0, 1.0, 3.0), (-1.0, 0.0, 0.0), pair.grid.direction)
    values = np.zeros(wide.shape, np.uint8)
    values[2, 3, 4] = 1
    truth = read_mask_of_change(written(tmp_path / "wide.nrrd", values, wide), (), SCHEMA).placed_on(pair)
    assert np.argwhere(truth.values).tolist() == [[2, 3, 3]] and (truth.sentence, truth.unknown) == ("", 0.0)
    values[2, 3, 0] = 1  # at -1 mm: the scan begins at 0
    truth = read_mask_of_change(written(tmp_path / "lost.nrrd", values, wide), (), SCHEMA).placed_on(pair)
    assert "1 of its marked voxels lie outside" in truth.sentence


def test_a_truth_of_other_voxel_sizes_takes_the_nearest_and_says_so(tmp_path: Path) -> None:
    pair = flat_pair(np.zeros((4, 12, 12)))
    # Voxels of 2 x 2 mm, the first of which lies between the scan's first four: half a millimetre along x and y from
    # each, 0.71 mm in all. The one at row 2, column 3 stands for rows 4 and 5, columns 6 and 7.
    coarse = Grid((6, 6, 4), (2.0, 2.0, 3.0), (0.5, 0.5, 0.0), pair.grid.direction)
    values = np.zeros(coarse.shape, np.uint8)
    values[1, 2, 3] = 1
    truth = read_mask_of_change(written(tmp_path / "gt.nii.gz", values, coarse), (), SCHEMA).placed_on(pair)
    assert np.argwhere(truth.values).tolist() == [[1, 4, 6], [1, 4, 7], [1, 5, 6], [1, 5, 7]]
    assert "the nearest were taken, up to 0.71 mm away" in truth.sentence and truth.unknown == 0


def segmentation(path: Path, names: list[str], grid: Grid, layers: list[np.ndarray]) -> Path:
    """Segments with the values 1, 2, ... of layer 0, in the order of their names; "reviewed" is layer 1."""
    segments = [Segment(f"S{n}", name, (1.0, 0.0, 0.0), 0, n) for n, name in enumerate(names, 1) if name != "reviewed"]
    segments += [Segment("reviewed", "reviewed", (0.5, 0.5, 0.5), 1, 1)] if "reviewed" in names else []
    write_segmentation(path, layers, grid, segments, {})
    return path


def test_outside_of_a_segmentation_nothing_changed(tmp_path: Path) -> None:
    pair = flat_pair(np.zeros((4, 12, 12)))
    box = Grid((6, 4, 2), (1.0, 1.0, 3.0), (3.0, 4.0, 3.0), pair.grid.direction)
    values = np.zeros(box.shape, np.uint8)
    values[0, 1:3, 2], values[1, 0, 0] = 1, 2  # slice 1, rows 5 and 6, column 5; slice 2, row 4, column 3
    expected = np.zeros(pair.mask.shape, np.uint8)
    expected[1, 5:7, 5], expected[2, 4, 3] = 2, 5
    path = segmentation(tmp_path / "a.seg.nrrd", ["New", "vanished"], box, [values])
    truth = read_mask_of_change(path, (), SCHEMA).placed_on(pair)
    assert np.array_equal(truth.values, expected) and truth.unknown == 0
    assert "9 % of the brain region" in truth.sentence and "without change" in truth.sentence
    assert (read_mask_of_change(path, (), SCHEMA, outside="unknown").on(pair) == UNREAD).sum() == 4 * 12 * 12 - 48

    path = segmentation(tmp_path / "b.seg.nrrd", ["Segment_1", "Segment_2"], box, [values])
    truth = read_mask_of_change(path, ("new",), SCHEMA).placed_on(pair)
    assert np.array_equal(truth.values, np.where(expected, 2, 0)) and "2 segments" in truth.sentence
    path = segmentation(tmp_path / "c.seg.nrrd", ["new", "Segment_2"], box, [values])
    with pytest.raises(BadInput, match="'Segment_2' is none of the classes"):
        read_mask_of_change(path, (), SCHEMA)
    path = segmentation(tmp_path / "d.seg.nrrd", ["shrunk", "new"], box, [values])
    assert (read_mask_of_change(path, ("new",), SCHEMA).on(pair) == UNREAD)[1, 5:7, 5].all(), "not covered"

    reviewed = np.zeros(box.shape, np.uint8)
    reviewed[0] = 1  # slice 1 was read, slice 2 was not, but for what is drawn there; beyond the box nobody looked
    path = segmentation(tmp_path / "e.seg.nrrd", ["new", "vanished", "reviewed"], box, [values, reviewed])
    truth = read_mask_of_change(path, (), SCHEMA).placed_on(pair)
    assert np.array_equal(truth.values[1, 4:8, 3:9], expected[1, 4:8, 3:9])
    assert (truth.values != UNREAD).sum() == 4 * 6 + 1 and truth.values[2, 4, 3] == 5


NO_PATHS = {
    "x" * 300: "cannot be looked at",
    "a/" * 3000: "characters",
    "x" * 100_000: "characters",
    "a\x00b": "cannot be printed",
    "\x1b[2Ja.nii": "cannot be printed",
    "a\nb": "cannot be printed",
    "gone.nii": "does not exist",
    "..\\gone.nii": "does not exist",
}


@pytest.mark.parametrize("column", ["baseline", "follow_up", "mask", "truth"])
@pytest.mark.parametrize("text", NO_PATHS, ids=range(len(NO_PATHS)))
def test_a_path_that_cannot_be_one_names_table_line_and_column(tmp_path: Path, column: str, text: str) -> None:
    files(tmp_path, "a.nii.gz", "b.nii.gz")
    (tmp_path / "loop").symlink_to("loop")
    cells = {"case": "c1", "subject": "s1", "baseline": "a.nii.gz", "follow_up": "b.nii.gz", "mask": "", "truth": ""}
    cells[column] = f'"{text}"'
    table = tmp_path / "pairs.csv"
    table.write_text(f"{','.join(cells)}\n{','.join(cells.values())}\n", encoding="utf-8")
    found = list_cases("csv", table)
    assert not found.cases
    (remark,) = found.left_out
    assert re.search(f"pairs.csv, line [23]: the {column} .*{NO_PATHS[text]}", remark.sentence)
    assert len(remark.sentence.replace(str(tmp_path), "")) < 500
    assert remark.sentence.isprintable()


def test_a_circle_of_links_in_a_table(tmp_path: Path) -> None:
    files(tmp_path, "a.nii.gz")
    (tmp_path / "loop").symlink_to("loop")
    table = tmp_path / "pairs.csv"
    table.write_text("case,subject,baseline,follow_up\nc,s,a.nii.gz,loop/b.nii\n")
    assert "follow_up" in list_cases("csv", table).left_out[0].sentence


@pytest.mark.parametrize("column", ["case", "subject", "covers", "baseline_date"])
@pytest.mark.parametrize("text", ["x" * 100_000, "\x1b]0;title\x07", "\u202e", "9" * 5000, "\x00"])
def test_cells_that_no_row_has(tmp_path: Path, column: str, text: str) -> None:
    files(tmp_path, "a.nii.gz", "b.nii.gz")
    cells = {"case": "c1", "subject": "s1", "baseline": "a.nii.gz", "follow_up": "b.nii.gz", column: text}
    table = tmp_path / "pairs.csv"
    table.write_text(f"{','.join(cells)}\n{','.join(cells.values())}\n", encoding="utf-8")
    (remark,) = list_cases("csv", table).left_out
    for shown in (remark.case, remark.subject, remark.sentence):
        assert shown.isprintable()
        assert len(shown.replace(str(tmp_path), "")) < 700


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"case,subject,baseline,follow_up,baseline\n", "twice: baseline"),
        (b"case,subject,baseline,follow_up\n" + b'"' + b"x" * 200_000, "cannot be read as CSV"),
        (b"case,subject,baseline,follow_up\n" + b",".join([b"x"] * 100_000) + b"\n\xff", "UTF-8"),
        ("case,subject,baseline,follow_up\n".encode("utf-16"), "UTF-8"),
        (bytes(1000), "missing"),
        (b"a" * (17 << 20), "MB"),
        (b"case,subject,baseline,follow_up\n" + b"a\n" * 100_001, "rows"),
        (b"\x1b[2J,x" * 10_000, "missing"),
    ],
    ids=["twice", "field", "cells", "utf-16", "nul", "large", "rows", "escape"],
)
def test_tables_within_limits(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "pairs.csv").write_bytes(content)
    with pytest.raises(BadInput, match=said) as caught:
        list_cases("csv", tmp_path / "pairs.csv")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 3500


def test_a_table_whose_name_is_none(tmp_path: Path) -> None:
    for name in ("x" * 300, "a\x00b"):
        with pytest.raises(BadInput):
            list_cases("csv", tmp_path / name)
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(BadInput, match="0 CSV files"):
        list_cases("csv", tmp_path)


def test_bids_names_that_are_no_text_become_pseudonyms(tmp_path: Path) -> None:
    folder = "sub-\udcff"
    files(tmp_path, f"{folder}/ses-1/anat/x_FLAIR.nii.gz", f"{folder}/ses-2/anat/x_FLAIR.nii.gz")
    (case,) = list_cases("bids", tmp_path).cases
    assert case.subject.startswith("subject-")
