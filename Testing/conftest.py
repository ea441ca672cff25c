"""What every test may ask for: programs of the system, real scans where they lie, and a phantom pair on disk."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

PROJECT = Path(__file__).resolve().parents[1]


def leave_out(reason: str) -> None:
    """Skip this test with a reason; where LMIAL_NO_SKIP is set (CI), a missing system package is a failure instead."""
    if os.environ.get("LMIAL_NO_SKIP"):
        pytest.fail(f"CI must be able to run this test: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def users_own_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What LMIAL keeps of a user lies elsewhere while tests run."""
    with pytest.MonkeyPatch.context() as patched:
        folder = tmp_path_factory.mktemp("user")
        patched.setenv("LMIAL_USER_DATA", str(folder))
        yield folder


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c() -> None:
    """Ctrl-C works in tests and their children, also where the run was started in the background of a shell, which
    ignores it there."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def require_program() -> Callable[[str, str], str]:
    """A function (program, Debian package) -> path of the program, that skips the test where it is missing."""

    def find(program: str, package: str) -> str:
        path = shutil.which(program)
        if path is None:
            leave_out(f"the program {program} is missing; it is in the package {package} (make system-packages)")
        return str(path)

    return find


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that lays a package down as pip would, for this process and those that it starts.

    (package, {file: text}, {name of an entry point: module:object}, group of the entry points).
    """
    place = tmp_path / "installed"
    place.mkdir()
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(place), os.environ.get("PYTHONPATH")])))

    def lay(
        package: str, modules: dict[str, str], entry_points: dict[str, str], group: str = "lmial.strategies"
    ) -> None:
        for module, text in modules.items():
            (place / module).write_text(text, encoding="utf-8")
        info = place / f"{package.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", encoding="utf-8")
        lines = [f"[{group}]", *(f"{name} = {value}" for name, value in entry_points.items())]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    return lay


@pytest.fixture
def open_ms() -> Path:
    """The folder of the open-ms scans (LMIAL_DATA, by default ../shared/data); skips where it is absent."""
    folder = Path(os.environ.get("LMIAL_DATA", PROJECT.parent / "shared" / "data")) / "open_ms"
    if not folder.is_dir():
        pytest.skip(f"no real scans at {folder}; set LMIAL_DATA to the folder that holds open_ms")
    return folder


@pytest.fixture(scope="session")
def phantom_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw files of one synthetic pair: baseline.nii.gz, follow_up.nii.gz, truth.nii.gz, brain.nii.gz."""
    from LMIALLib.cohorts.phantom import TRAINING, make_phantom, write_phantom

    folder = tmp_path_factory.mktemp("phantom")
    write_phantom(make_phantom(7, appearance=TRAINING), folder)
    return folder


@pytest.fixture(scope="session")
def prepared_study(tmp_path_factory: pytest.TempPathFactory, phantom_folder: Path) -> Path:
    """A study with the case ``head``, ranked once by a real worker. Never change it: ask for ``study_folder``."""
    from LMIALLib.loop.session import Session
    from LMIALLib.loop.settings import LoopSettings
    from LMIALLib.loop.studies import new_study
    from LMIALLib.pairs.request import PairRequest
    from LMIALLib.study.store import Study

    folder = tmp_path_factory.mktemp("prepared") / "study"
    request = PairRequest(
        baseline=phantom_folder / "baseline.nii.gz",
        follow_up=phantom_folder / "follow_up.nii.gz",
        mask=phantom_folder / "brain.nii.gz",
    )
    new_study(folder, "head", request)
    with Study.open(folder, reader="setup") as study:
        session = Session(study, settings=LoopSettings(train=False))
        session.learning.wait(session.learning.request_ranking())
        session.close()
    return folder


@pytest.fixture
def study_folder(prepared_study: Path, tmp_path: Path) -> Path:
    """A copy of the prepared study that a test may change."""
    return Path(shutil.copytree(prepared_study, tmp_path / "study"))


@pytest.fixture(scope="session")
def phantom_truth(phantom_folder: Path) -> np.ndarray:
    """What changed in the case ``head``: uint8 values of the label schema, slices first."""
    import SimpleITK as sitk

    return sitk.GetArrayFromImage(sitk.ReadImage(str(phantom_folder / "truth.nii.gz")))


@pytest.fixture(scope="session")
def tiny_pair(tmp_path_factory: pytest.TempPathFactory, phantom_folder: Path) -> Path:
    """The phantom pair with voxels three times as wide, prepared in two seconds: baseline, follow_up and brain.

    ``follow_up`` also has a bright and a dark block in the brain; ``truth`` (0, 1) marks the bright one, as MSSEG-2
    would, and ``blocks`` holds both (2 = new, 5 = vanished).
    """
    import SimpleITK as sitk

    folder = tmp_path_factory.mktemp("tiny")
    wide = {}
    for name in ("baseline", "follow_up", "brain"):
        image = sitk.ReadImage(str(phantom_folder / f"{name}.nii.gz"))
        size = [round(length / share) for length, share in zip(image.GetSize(), (3, 3, 1.5), strict=True)]
        spacing = [s * a / b for s, a, b in zip(image.GetSpacing(), image.GetSize(), size, strict=True)]
        how = sitk.sitkNearestNeighbor if name == "brain" else sitk.sitkLinear
        wide[name] = sitk.Resample(
            image, size, sitk.Transform(), how, image.GetOrigin(), spacing, image.GetDirection(), 0
        )
    scan, brain = (sitk.GetArrayFromImage(wide[name]) for name in ("follow_up", "brain"))
    k, j, i = (int(np.median(places)) for places in np.nonzero(brain))
    blocks = np.zeros_like(brain)
    blocks[k : k + 2, j - 12 : j - 6, i - 3 : i + 3] = 2
    blocks[k : k + 2, j + 6 : j + 12, i - 3 : i + 3] = 5
    blocks[brain == 0] = 0
    inside = scan[brain > 0]
    scan[blocks == 2], scan[blocks == 5] = np.percentile(inside, 99.9), np.percentile(inside, 0.5)
    arrays = {"follow_up": scan, "truth": (blocks == 2).astype(np.uint8), "blocks": blocks}
    for name, array in arrays.items():
        like = wide["brain"]
        wide[name] = sitk.GetImageFromArray(array)
        wide[name].CopyInformation(like)
    for name, image in wide.items():
        sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))
    return folder
