"""Two files of few small slices in the folder where a test works, as a researcher has them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import SimpleITK as sitk

SLICES = 9


@pytest.fixture(scope="session")
def few_slices(tiny_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``baseline.nii.gz`` and ``follow_up.nii.gz``: the tiny pair, cut to the slices in its middle."""
    folder = tmp_path_factory.mktemp("few")
    for name in ("baseline.nii.gz", "follow_up.nii.gz"):
        image = sitk.ReadImage(str(tiny_pair / name))
        first = (image.GetSize()[2] - SLICES) // 2
        sitk.WriteImage(image[:, :, first : first + SLICES], str(folder / name))
    return folder


@pytest.fixture
def two_files(few_slices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which the test works now, with both files of `few_slices`.

    Networks compute on one thread, here and in workers: on so small a pair several wait for each other.
    """
    import torch

    folder = tmp_path / "work"
    shutil.copytree(few_slices, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield folder
    torch.set_num_threads(threads)
