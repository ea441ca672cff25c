"""The sample pair: registered without an address, made here, the same each time, and without torch."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from LMIALLib.desktop import sample_data


def test_the_pair_is_made_without_torch_and_kept(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from LMIALLib.desktop.sample_data import make_pair; "
        "make_pair(Path(sys.argv[1])); print({'torch', 'monai', 'qt', 'slicer'} & set(sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "pair")],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert done.stdout.strip() == "set()"
    baseline, follow_up = sample_data.make_pair(tmp_path / "pair")
    assert sorted(path.name for path in (tmp_path / "pair").iterdir()) == ["baseline.nii.gz", "follow_up.nii.gz"]
    import SimpleITK as sitk

    first, second = sitk.ReadImage(str(baseline)), sitk.ReadImage(str(follow_up))
    assert first.GetSize() != second.GetSize()
    sums = [hashlib.sha256(sitk.GetArrayViewFromImage(image).tobytes()).hexdigest() for image in (first, second)]
    from LMIALLib.cohorts.phantom import DEMO, DEMO_SEED, make_phantom

    phantom = make_phantom(DEMO_SEED, appearance=DEMO)
    for image, digest in zip((phantom.baseline, phantom.follow_up), sums, strict=True):
        assert hashlib.sha256(sitk.GetArrayViewFromImage(image).tobytes()).hexdigest() == digest


PARAMETERS = {
    "category", "sampleName", "uris", "fileNames", "nodeNames", "customDownloader", "thumbnailFileName",
    "loadFileTypes", "loadFiles", "loadFileProperties", "checksums",
}  # fmt: skip
"""What `SampleDataLogic.registerCustomSampleDataSource` of Slicer 5.12 takes."""


def test_registered_without_an_address_and_made_by_us(monkeypatch: pytest.MonkeyPatch) -> None:
    registered: list[dict[str, Any]] = []
    module = ModuleType("SampleData")
    module.SampleDataLogic = SimpleNamespace(  # type: ignore[attr-defined]
        registerCustomSampleDataCategory=lambda category, title: None,
        registerCustomSampleDataSource=lambda **values: registered.append(values),
    )
    monkeypatch.setitem(sys.modules, "SampleData", module)
    sample_data.register()
    (source,) = registered
    assert set(source) <= PARAMETERS
    assert (source["uris"], source["fileNames"], source["nodeNames"]) == ([], [], [])
    assert source["customDownloader"] is sample_data.load
    assert Path(source["thumbnailFileName"]).is_file()
