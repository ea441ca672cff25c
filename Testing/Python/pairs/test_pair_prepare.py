"""From two files to a stored pair: grids, contrasts, what is written, and that nothing is written when input is bad."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from LMIALLib.errors import BadInput, NeedsAlignment, NeedsConfirmation, WrongUse
from LMIALLib.pairs.again import register_again
from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.prepare import prepare
from LMIALLib.pairs.reading import read_volume
from LMIALLib.pairs.request import PairRequest
from LMIALLib.pairs.storage import load_pair, save_pair, write_nrrd
from LMIALLib.pairs.transforms import transform_of

SHIFT = np.array([4.0, -3.0, 5.0])


@pytest.fixture(scope="module")
def visits(tmp_path_factory, phantom, as_image) -> dict[str, Path]:
    """Two visits of one head: another gain, lying elsewhere, one lesion more in the follow-up; a T1; a mask."""
    import SimpleITK as sitk

    folder = tmp_path_factory.mktemp("visits")
    rng = np.random.default_rng(0)
    grey = phantom["grey"]
    lesion = np.zeros(grey.shape, dtype=bool)
    lesion[15:19, 40:48, 44:52] = True
    follow_up = as_image(np.maximum(grey + 100 * lesion + rng.normal(0, 4, grey.shape), 0))
    place = np.eye(4)
    place[:3, 3] = -SHIFT  # points of the baseline's space to points of the phantom
    there = sitk.Resample(as_image(grey, dtype=np.float32), follow_up, transform_of(place), sitk.sitkBSpline3, 0.0)
    baseline = as_image(np.maximum(2.5 * sitk.GetArrayFromImage(there) + rng.normal(0, 8, grey.shape), 0))
    t1 = as_image(np.where(grey > 0, 330 - grey, 0))
    paths = {}
    for name, image in (
        ("baseline", baseline),
        ("follow_up", follow_up),
        ("t1", t1),
        ("mask", as_image(phantom["brain"], dtype=np.uint8)),
    ):
        paths[name] = folder / f"{name}.nii.gz"
        sitk.WriteImage(image, str(paths[name]))
    np.save(folder / "lesion.npy", lesion)
    paths["lesion"] = folder / "lesion.npy"
    return paths


def request(visits: dict[str, Path], **options) -> PairRequest:
    return PairRequest(visits["baseline"], visits["follow_up"], **options)


def test_a_pair_on_the_follow_ups_grid(tmp_path, visits, phantom):
    import SimpleITK as sitk

    steps = []
    pair = prepare(request(visits), tmp_path, progress=lambda stage, done, total: steps.append((stage, done, total)))
    raw = read_volume(visits["follow_up"])
    assert pair.grid == raw.grid and pair.axis == 0
    assert pair.baseline.dtype == pair.follow_up.dtype == np.float32 and pair.mask.dtype == bool
    # The follow-up is not interpolated: it is its raw voxels on another scale.
    voxels = sitk.GetArrayFromImage(raw.image).astype(np.float32)
    expected = (voxels - pair.scaling["median"]) / pair.scaling["spread"]
    assert np.abs(pair.follow_up - expected).max() < 1e-5
    found = np.array(pair.registration["matrix"]).reshape(4, 4)
    assert np.abs(found[:3, 3] - SHIFT).max() < 0.5
    assert not pair.registration["alarm"]
    lesion = np.load(visits["lesion"])
    assert pair.difference[lesion & pair.mask].mean() > 8 * np.abs(np.median(pair.difference[pair.mask & ~lesion]))
    assert pair.difference[lesion & pair.mask].mean() > 1
    loaded = load_pair(tmp_path / "pair-1")
    assert loaded.digest() == pair.digest() and loaded.registration == pair.registration
    assert loaded.scaling == pair.scaling
    source = read_volume(tmp_path / "source" / "baseline.nrrd")
    assert source.image.GetPixelID() == sitk.sitkInt16
    assert source.grid.same_as(read_volume(visits["baseline"]).grid, 1e-4)
    original = sitk.GetArrayFromImage(read_volume(visits["baseline"]).image)
    assert np.array_equal(sitk.GetArrayFromImage(source.image), original)
    names = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert names == {f"source/{n}.nrrd" for n in ("baseline", "follow_up")} | {
        f"pair-1/{n}" for n in ("baseline.nrrd", "follow_up.nrrd", "mask.nrrd", "registration.json")
    }
    text = (tmp_path / "pair-1" / "registration.json").read_text()
    assert str(visits["baseline"].parent) not in text  # a path may hold a name
    assert [done for _, done, _ in steps] == sorted(done for _, done, _ in steps) and steps[-1][1] == steps[-1][2]


def test_the_same_inputs_give_the_same_pair(tmp_path, visits):
    first = prepare(request(visits), tmp_path / "a")
    assert prepare(request(visits), tmp_path / "b").digest() == first.digest()


@pytest.mark.parametrize("grid", ["baseline", "midway"])
def test_other_grids_show_the_same_head(tmp_path, visits, grid):
    pair = prepare(request(visits, grid=grid), tmp_path)
    if grid == "baseline":
        assert pair.grid == read_volume(visits["baseline"]).grid
    to_baseline, to_follow_up = (
        np.array(pair.registration["to_source"][name]).reshape(4, 4) for name in ("baseline", "follow_up")
    )
    found = to_baseline @ np.linalg.inv(to_follow_up)
    assert np.allclose(found, np.array(pair.registration["matrix"]).reshape(4, 4), atol=1e-6)
    if grid == "midway":
        assert np.allclose(to_baseline[:3, 3], SHIFT / 2, atol=0.4)
        assert np.allclose(to_follow_up[:3, 3], -SHIFT / 2, atol=0.4)
    assert np.corrcoef(pair.baseline[pair.mask], pair.follow_up[pair.mask])[0, 1] > 0.9


def test_mask_contrasts_and_axis(tmp_path, visits, phantom):
    asked = request(
        visits,
        mask=visits["mask"],
        contrasts=(("T1", visits["baseline"], visits["t1"]),),
        axis="sagittal",
        register=False,
    )
    pair = prepare(asked, tmp_path)
    assert pair.axis == 2
    assert not np.any(pair.mask & ~phantom["brain"])
    assert pair.registration["kind"] == "none" and pair.registration["matrix"] == np.eye(4).ravel().tolist()
    assert pair.registration["alarm"]  # 7 mm off, as the headers have it
    assert set(pair.registration["to_source"]) == {"baseline", "follow_up", "T1-baseline", "T1-follow_up"}
    assert (tmp_path / "source" / "T1-follow_up.nrrd").is_file() and (tmp_path / "source" / "mask.nrrd").is_file()
    assert pair.registration["request"]["mask"] == "given"


def test_a_contrast_is_registered_within_its_visit(tmp_path, visits):
    pair = prepare(request(visits, contrasts=(("T1", visits["baseline"], visits["t1"]),)), tmp_path)
    report = pair.registration["contrasts"]["T1"]["follow_up"]
    assert report["kind"] == "rigid" and not report["alarm"]
    matrix = np.array(pair.registration["to_source"]["T1-follow_up"]).reshape(4, 4)
    assert np.abs(matrix - np.eye(4)).max() < 0.6
    same = np.array(pair.registration["to_source"]["T1-baseline"]).reshape(4, 4)
    assert np.allclose(same[:3, 3], SHIFT, atol=0.5)


@pytest.mark.parametrize("where", [(0.0, 0.0, 0.0), (900.0, -400.0, 250.0)])
def test_headers_that_lost_the_position_are_aligned_by_centres(tmp_path, visits, where):
    import SimpleITK as sitk

    lost = {}
    for name in ("baseline", "t1"):
        image = sitk.ReadImage(str(visits[name]))
        size = [length * step for length, step in zip(image.GetSize(), image.GetSpacing(), strict=True)]
        image.SetOrigin([at + 2 * long * (not any(where)) for at, long in zip(where, size, strict=True)])
        lost[name] = tmp_path / f"{name}.nii.gz"
        sitk.WriteImage(image, str(lost[name]))
    contrasts = (("T1", lost["t1"], visits["t1"]), ("T1again", visits["t1"], visits["t1"]))
    asked = PairRequest(lost["baseline"], visits["follow_up"])
    with pytest.raises(NeedsAlignment, match="centres can be laid on each other"):
        prepare(asked, tmp_path / "none")
    with pytest.raises(WrongUse, match="headers, centres"):
        prepare(replace(asked, align="center"), tmp_path / "none")
    assert not (tmp_path / "none").exists()
    pair = prepare(replace(asked, align="centres", contrasts=contrasts), tmp_path / "case")
    # Both scans had one grid, so their centres on each other are the places that were lost: only SHIFT remains.
    to_baseline = np.reshape(pair.registration["to_source"]["baseline"], (4, 4))
    centre = np.append(np.mean(pair.grid.corners(), axis=0), 1.0)
    assert np.abs((to_baseline @ centre - centre)[:3] - SHIFT).max() < 0.5
    assert pair.registration["request"]["align"] == "centres" and not pair.registration["alarm"]
    assert any("its centre onto the follow-up's" in remark for remark in pair.registration["remarks"])
    kept = read_volume(tmp_path / "case" / "source" / "baseline.nrrd").grid
    assert kept.same_as(pair.grid) and read_volume(tmp_path / "case/source/T1-baseline.nrrd").grid.same_as(kept)
    again = register_again(tmp_path / "case", 1, tmp_path / "again", kind="rigid")
    assert again.registration["request"]["align"] == "centres" and again.grid == pair.grid


def test_nothing_is_written_when_an_input_is_bad(tmp_path, visits):
    cases = [
        (PairRequest(visits["baseline"], tmp_path / "none.nii"), BadInput),
        (PairRequest(visits["baseline"], visits["baseline"]), NeedsConfirmation),
        (request(visits, mask=visits["t1"]), BadInput),
        (request(visits, contrasts=(("T1", visits["t1"], tmp_path / "none.nii"),)), BadInput),
        (request(visits, contrasts=(("../T1", visits["t1"], visits["t1"]),)), WrongUse),
        (request(visits, contrasts=(("T1", visits["t1"], visits["t1"]), ("t1", visits["t1"], visits["t1"]))), WrongUse),
        (request(visits, grid="sideways"), WrongUse),
        (request(visits, axis="diagonal"), WrongUse),
    ]
    for asked, error in cases:
        with pytest.raises(error):
            prepare(asked, tmp_path / "case")
        assert not (tmp_path / "case").exists()


def test_force_goes_on_and_remembers_why(tmp_path, visits):
    pair = prepare(PairRequest(visits["follow_up"], visits["follow_up"], force=True), tmp_path)
    assert "same image" in pair.registration["confirmed"]
    assert np.abs(pair.difference).max() < 0.5


def test_one_folder_with_both_visits_as_series(tmp_path, write_series):
    voxels = np.random.default_rng(0).integers(0, 900, (6, 9, 11))
    write_series(tmp_path / "d", voxels, uid="1.2.3.1")
    write_series(tmp_path / "d", voxels + 5, uid="1.2.3.2", start=50)
    days = ("2014-03-02", "2015-01-01")  # as a table tells them; the files say 2014-03-02 of both
    asked = PairRequest(tmp_path / "d", tmp_path / "d", series="1.2.3.1,1.2.3.2", register=False, dates=days)
    pair = prepare(asked, tmp_path / "case")
    told = "follow-up: it was acquired on 2014-03-02, says its header, but the list says 2015-01-01."
    assert told in pair.registration["remarks"]
    assert pair.registration["sources"]["baseline"] == "DICOM series of 6 files"
    assert pair.registration["dates"] == {"baseline": "2014-03-02", "follow_up": "2014-03-02"}
    for file in (tmp_path / "case").rglob("*"):
        if file.is_file():
            assert b"SECRET" not in file.read_bytes() and b"12345" not in file.read_bytes()


def test_a_request_survives_json(visits):
    from LMIALLib.worker.requests import Prepare, read_request, request_message

    asked = request(
        visits, mask=visits["mask"], contrasts=(("T1", visits["t1"], visits["t1"]),), grid="midway", axis="1",
        align="centres", dates=("2019-03-01", None),
    )  # fmt: skip
    message = json.loads(json.dumps(request_message(Prepare(asked, "staged"), 1)))
    assert read_request(message) == Prepare(asked, "staged")
    with pytest.raises(BadInput, match=r"pair\.colour is unknown"):
        read_request({**message, "pair": {**message["pair"], "colour": 3}})
    with pytest.raises(BadInput, match=r"pair\.baseline is missing"):
        read_request({**message, "pair": {"mask": None}})


def test_dates_that_were_told_elsewhere_are_those_of_scans_without(tmp_path, visits):
    with pytest.raises(NeedsConfirmation, match=r"2019-03-01, before the baseline \(2020-03-01"):
        prepare(request(visits, dates=("2020-03-01", "2019-03-01")), tmp_path / "case")
    assert not (tmp_path / "case").exists()
    pair = prepare(request(visits, dates=("2019-03-01", None), register=False), tmp_path / "case")
    assert pair.registration["dates"] == {"baseline": "2019-03-01", "follow_up": None}
    assert pair.registration["remarks"] == []


def test_the_json_beside_an_image_dates_it(tmp_path, visits):
    for name in ("baseline", "follow_up"):
        (tmp_path / f"{name}.nii.gz").write_bytes(visits[name].read_bytes())
    (tmp_path / "baseline.json").write_text('{"AcquisitionDateTime": "2020-03-01T10:00:00"}')
    (tmp_path / "follow_up.json").write_text('{"StudyDate": "20190301"}')
    asked = PairRequest(tmp_path / "baseline.nii.gz", tmp_path / "follow_up.nii.gz", register=False)
    with pytest.raises(NeedsConfirmation, match=r"2019-03-01, before the baseline \(2020-03-01"):
        prepare(asked, tmp_path / "case")
    (tmp_path / "follow_up.json").write_text('{"StudyDate": "19000101", "AcquisitionTime": "10:00:00"}')
    pair = prepare(replace(asked, dates=("2020-03-02", None)), tmp_path / "case")
    assert pair.registration["dates"] == {"baseline": "2020-03-02", "follow_up": None}
    told = "baseline: it was acquired on 2020-03-02, says the list, but the JSON beside it says 2020-03-01."
    assert pair.registration["remarks"] == [told]


def test_a_full_disk_is_an_oserror(tmp_path, visits, monkeypatch):
    import errno

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("LMIALLib.pairs.storage.flush_file", full)
    with pytest.raises(OSError, match="No space"):
        prepare(request(visits, register=False), tmp_path / "case")


@pytest.fixture
def stored(tmp_path, as_image) -> Path:
    from LMIALLib.pairs.pair import Pair

    grey = np.random.default_rng(0).random((5, 6, 7)).astype(np.float32)
    grid = Grid.of(as_image(grey))
    save_pair(Pair(grey, grey * 2, grey > 0.5, grid, 1, {"kind": "none"}, {}), tmp_path / "pair")
    return tmp_path / "pair"


@pytest.mark.parametrize("name", ["baseline.nrrd", "follow_up.nrrd", "mask.nrrd", "registration.json"])
def test_a_broken_pair_is_refused_with_its_files_name(stored, name):
    whole = (stored / name).read_bytes()
    for spoilt in (whole[: len(whole) // 2], b"", b"other"):
        (stored / name).write_bytes(spoilt)
        with pytest.raises(BadInput, match=name):
            load_pair(stored)
    (stored / name).unlink()
    with pytest.raises(BadInput, match=name):
        load_pair(stored)


def test_files_of_another_pair_and_of_a_newer_version_are_refused(stored, as_image):
    record = json.loads((stored / "registration.json").read_text())
    (stored / "registration.json").write_text(json.dumps(record | {"format": 99}))
    with pytest.raises(BadInput, match="newer LMIAL"):
        load_pair(stored)
    (stored / "registration.json").write_text(json.dumps(record | {"grid": {}}))
    with pytest.raises(BadInput, match="size is missing"):
        load_pair(stored)
    (stored / "registration.json").write_text(json.dumps(record))
    other = np.ones((5, 6, 8), dtype=np.float32)
    write_nrrd(stored / "baseline.nrrd", other, Grid.of(as_image(other)))
    with pytest.raises(BadInput, match="does not belong"):
        load_pair(stored)


def test_a_case_is_registered_again_from_its_sources_on_the_same_grid(tmp_path, visits):
    wanted = request(visits, mask=visits["mask"], contrasts=(("t1", visits["t1"], visits["t1"]),), force=True)
    first = prepare(wanted, tmp_path)
    rigid = register_again(tmp_path, 1, tmp_path / "rigid", kind="rigid")
    affine = register_again(tmp_path, 1, tmp_path / "affine", kind="affine")
    assert rigid.registration["kind"] == "rigid" and affine.registration["kind"] == "affine"
    for pair in (rigid, affine):
        assert pair.grid == first.grid and pair.axis == first.axis
        assert np.array_equal(pair.follow_up, first.follow_up) and pair.registration["contrasts"].keys() == {"t1"}
        found = np.array(pair.registration["matrix"]).reshape(4, 4)
        assert np.abs(found[:3, 3] - SHIFT).max() < 1.0
        for kept in ("request", "dates", "sources", "confirmed"):
            assert pair.registration[kept] == first.registration[kept]
    assert load_pair(tmp_path / "rigid").digest() == rigid.digest()
    again = register_again(tmp_path, 1, tmp_path / "again", kind="rigid")
    assert again.digest() == rigid.digest()


def test_registering_again_is_refused_where_it_would_move_what_was_drawn_on(tmp_path, visits):
    prepare(request(visits, grid="midway"), tmp_path)
    with pytest.raises(BadInput, match="midway"):
        register_again(tmp_path, 1, tmp_path / "again", kind="rigid")
    with pytest.raises(WrongUse, match="rigid or affine"):
        register_again(tmp_path, 1, tmp_path / "again", kind="deformable")
    assert not (tmp_path / "again").exists()
