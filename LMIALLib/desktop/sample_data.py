"""The sample pair in Slicer's Sample Data: a synthetic head at two visits, made on this computer, no network asked.

``python -m LMIALLib.desktop.sample_data FOLDER`` makes it, which is what Slicer starts in the background: it takes some
seconds and 500 MB.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from LMIALLib.files import written_whole
from LMIALLib.resources import resource

CATEGORY = "LMIAL"
NAME = "Longitudinal sample pair (synthetic)"
FILES = ("baseline.nii.gz", "follow_up.nii.gz")
NODES = ("LMIAL sample baseline", "LMIAL sample follow-up")

_making: list[Any] = []
"""Processes that make a pair now: Qt's objects live as long as Python's."""


def make_pair(folder: Path) -> tuple[Path, Path]:
    """Make the pair that the demo shows in ``folder``, unless it lies there; paths of baseline and follow-up.

    The same voxels each time. Raises OSError where the disk refuses.
    """
    import SimpleITK as sitk

    from LMIALLib.cohorts.phantom import DEMO, DEMO_SEED, make_phantom

    baseline, follow_up = (Path(folder) / name for name in FILES)
    if not (baseline.is_file() and follow_up.is_file()):
        Path(folder).mkdir(parents=True, exist_ok=True)
        phantom = make_phantom(DEMO_SEED, appearance=DEMO)
        for image, path in ((phantom.baseline, baseline), (phantom.follow_up, follow_up)):
            with written_whole(path) as temporary:
                sitk.WriteImage(image, str(temporary))
    return baseline, follow_up


def cache_folder() -> Path:
    """Where Slicer keeps its sample data, and ours in a folder of its own."""
    import slicer

    return Path(slicer.mrmlScene.GetCacheManager().GetRemoteCacheDirectory()) / "LMIAL-sample-pair"


def register() -> None:
    """Put the pair into Slicer's Sample Data; call it once Slicer has started up. Again is harmless."""
    from SampleData import SampleDataLogic

    if hasattr(SampleDataLogic, "registerCustomSampleDataCategory"):  # 5.12
        SampleDataLogic.registerCustomSampleDataCategory(category=CATEGORY, title="Longitudinal Active Learning")
    SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=NAME,
        uris=[],  # nothing is downloaded
        fileNames=[],
        nodeNames=[],
        thumbnailFileName=str(resource("Icons", "LMIALSample.png")),
        customDownloader=load,
    )


def load(source: Any = None, then: Callable[[Any, Any], None] | None = None) -> None:
    """Make the pair in the background where it is not there yet, and load it as two volumes.

    Args:
        source: what Slicer's Sample Data hands over; not looked at.
        then: called with the nodes of baseline and follow-up, not at all where it failed.
    """

    def show(baseline: Path, follow_up: Path) -> None:
        import slicer

        nodes = [
            slicer.util.loadVolume(str(path), {"name": name})
            for path, name in zip((baseline, follow_up), NODES, strict=True)
        ]
        if then is not None:
            then(nodes[0], nodes[1])

    _make_in_background(cache_folder(), show)


def _make_in_background(folder: Path, done: Callable[[Path, Path], None]) -> None:
    """Call ``done`` with both paths: at once where the pair is there, else when Slicer's Python made it."""
    import qt
    import slicer
    from slicer.i18n import tr as _

    from LMIALLib.desktop.dependencies import slicer_python

    paths = [folder / name for name in FILES]
    if all(path.is_file() for path in paths):
        done(paths[0], paths[1])
        return
    process = qt.QProcess()
    environment = qt.QProcessEnvironment.systemEnvironment()
    parent = str(Path(__file__).resolve().parents[2])
    environment.insert("PYTHONPATH", os.pathsep.join(filter(None, [parent, os.environ.get("PYTHONPATH")])))
    process.setProcessEnvironment(environment)

    def ended(*__: Any) -> None:
        if process not in _making:
            return
        _making.remove(process)
        slicer.util.showStatusMessage("")
        if all(path.is_file() for path in paths):
            done(paths[0], paths[1])
        else:
            problem = bytes(process.readAllStandardError().data()).decode("utf-8", errors="replace")
            slicer.util.errorDisplay(_("The sample pair could not be made."), detailedText=problem)

    process.connect("finished(int,QProcess::ExitStatus)", ended)
    process.connect("errorOccurred(QProcess::ProcessError)", ended)
    _making.append(process)
    slicer.util.showStatusMessage(_("Making the sample pair..."))
    process.start(slicer_python(), ["-m", "LMIALLib.desktop.sample_data", str(folder)])


if __name__ == "__main__":
    make_pair(Path(sys.argv[1]))
