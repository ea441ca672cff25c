"""Speed and memory beside the reference network, in one run, on one machine: ``make bench``.

The reference is the plain U-Net of the published LMI-AL code (3 channels in, 1 out, widths 64 to 1024, every pass
complete, 10 complete passes for BALD), built from MONAI's BasicUNet. It runs on ``--reference-slices`` whole slices of
the same pair and its time is scaled to all of them; everything else is measured whole. Machines are shared and noisy:
read the ratios. Prints a table, notes that hold prediction's operations and bytes against the limits of devices, and
writes bench/speed.json. The GPU's rows need one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

N_SLICES, ROWS, COLUMNS = 60, 334, 325
Row = tuple[str, str, str]


def seconds(call: Callable[[], Any], repeats: int = 3) -> float:
    """Median time of a call."""
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def raw_pair(folder: Path) -> None:
    """Write a raw phantom pair whose follow-up has 60 slices of 334 x 325 pixels of 0.72 mm."""
    import SimpleITK as sitk

    from LMIALLib.cohorts.phantom import TRAINING, make_phantom

    phantom = make_phantom(11, appearance=TRAINING)
    for name, image in (("baseline", phantom.baseline), ("follow_up", phantom.follow_up)):
        extent = [n * s for n, s in zip(image.GetSize(), image.GetSpacing(), strict=True)]
        size = (COLUMNS, ROWS, N_SLICES)
        spacing = [e / n for e, n in zip(extent, size, strict=True)]
        grid = sitk.Image(size, sitk.sitkFloat32)
        grid.SetSpacing(spacing)
        grid.SetOrigin(image.GetOrigin())
        grid.SetDirection(image.GetDirection())
        fine = sitk.Resample(sitk.Cast(image, sitk.sitkFloat32), grid, sitk.Transform(), sitk.sitkBSpline)
        sitk.WriteImage(
            sitk.Cast(sitk.Clamp(fine, sitk.sitkFloat32, 0, 60000), sitk.sitkUInt16), str(folder / f"{name}.nii.gz")
        )


def reference_seconds(pair: Any, slices: int) -> float:
    """One complete pass of the reference network over the whole pair, from a few of its slices."""
    import torch
    from monai.networks.nets import BasicUNet

    torch.manual_seed(0)
    network = BasicUNet(spatial_dims=2, in_channels=3, out_channels=1, features=(64, 128, 256, 512, 1024, 64)).eval()
    stacks = [pair.stack(volume) for volume in (pair.baseline, pair.follow_up, pair.difference)]
    middle = pair.n_slices // 2
    inputs = [torch.from_numpy(np.stack([s[middle + k] for s in stacks]))[None] for k in range(slices)]
    with torch.inference_mode():
        network(inputs[0])
        return seconds(lambda: [network(one) for one in inputs], repeats=1) / slices * pair.n_slices


def networks(pair: Any, reference_slices: int) -> tuple[list[Row], dict[str, Any]]:
    """Entropy and BALD beside the reference, and how true the cheap BALD is."""
    from scipy.stats import spearmanr

    from LMIALLib.network.prediction import predict
    from LMIALLib.network.weights import load_weights
    from LMIALLib.resources import resource

    network, _ = load_weights(resource("Weights", "change.safetensors"))
    predict(network, pair)
    single = seconds(lambda: predict(network, pair))
    reference = reference_seconds(pair, reference_slices)
    ten = seconds(lambda: predict(network, pair, passes=10, seed=1))
    again = seconds(lambda: predict(network, pair))
    single = min(single, again)
    few, many = (slice_bald(predict(network, pair, passes=t, seed=s)) for t, s in ((10, 1), (50, 2)))
    held = np.isfinite(few) & (many > 0)
    fidelity = float(spearmanr(few[held], many[held]).statistic)
    figures = {"reference_s": reference, "single_s": single, "bald10_s": ten, "bald_spearman": fidelity}
    return [
        (f"prediction of {pair.n_slices} slices, mean", f"{single:.1f} s", "6 s"),
        (
            "entropy ranking, ours against the reference",
            f"{reference / single:.0f} times faster ({single:.1f} s)",
            "15",
        ),
        (
            "BALD T = 10, ours against 10 reference passes",
            f"{10 * reference / ten:.0f} times faster ({ten:.1f} s)",
            "50",
        ),
        ("BALD T = 10 against our single pass", f"{ten / single:.2f} times", "under 4, aim 2.5"),
        ("Spearman of slice BALD, T = 10 with T = 50", f"{fidelity:.3f}", "0.9"),
    ], figures


def slice_bald(prediction: Any) -> np.ndarray:
    """Sum over a slice of the mutual information H(mean) - mean H, in nats."""
    return np.asarray(prediction.mutual_information.sum(axis=(1, 2), dtype=np.float64))


def loop(folder: Path, study_folder: Path) -> tuple[list[Row], dict[str, Any]]:
    """Reading and registering, saving, fine-tuning, memory."""
    from LMIALLib.loop.session import Session
    from LMIALLib.loop.settings import LoopSettings
    from LMIALLib.loop.studies import new_study
    from LMIALLib.pairs.request import PairRequest
    from LMIALLib.study.store import Study

    request = PairRequest(baseline=folder / "baseline.nii.gz", follow_up=folder / "follow_up.nii.gz")
    prepared = seconds(lambda: new_study(study_folder, "bench", request), repeats=1)
    with Study.open(study_folder, reader="bench") as study:
        session = Session(study, reader="bench", settings=LoopSettings(train=False))
        ranked = seconds(lambda: session.learning.wait(session.learning.request_ranking()), repeats=1)
        taken = []
        mask = np.zeros(study.cases.get("bench").slice_shape, dtype=np.uint8)
        for turn in range(300):
            mask[100 + turn % 50 : 120 + turn % 50, 100:130] = 1 + turn % 5
            session.present("bench", 20 + turn % 20)
            began = time.perf_counter()
            session.save(mask)
            taken.append(time.perf_counter() - began)
        session.learning.wait(session.learning.request_ranking(keep=True))  # what was answered above is learnt first
        learnt = learnt_seconds(session, range(20))
        began = time.perf_counter()
        session.learning.request_training()
        assert session.learning.training is not None
        trained = session.learning.wait(session.learning.training)
        tuned = time.perf_counter() - began
        study.models.adopt(trained.model)  # whatever the rules say of it
        began = time.perf_counter()
        session.learning._rank_with_new_model()
        anew = session.learning.ranking_anew
        assert anew is not None
        during = learnt_seconds(session, range(50, 53))
        session.learning.wait(anew)
        adopted = time.perf_counter() - began
        session.learning.request_training()
        meanwhile = learnt_seconds(session, range(40, 48))
        session.learning.cancel_training()
        assert session.learning.worker.ready is not None
        worker = peak_of(session.learning.worker.ready.pid)
        session.close()
    p99 = float(np.quantile(taken, 0.99))
    answers = {
        name: np.quantile(found, (0.5, 0.99)).tolist()
        for name, found in (("", learnt), ("_training", meanwhile), ("_anew", during))
    }
    figures = {
        "prepare_s": prepared,
        "rank_s": ranked,
        "save_p99_s": p99,
        "finetune_s": tuned,
        "adopted_ranked_s": adopted,
        "worker_peak_mb": worker,
        **{f"answer_learnt{name}_s": found for name, found in answers.items()},
    }
    return [
        ("read + register + scale a raw pair", f"{prepared:.1f} s", "20 s"),
        ("save an annotation, flushed, p99 of 300", f"{1000 * p99:.1f} ms", "20 ms"),
        (
            "an answer until the rest of the patient is ranked by it, p50 / p99 of 20",
            f"{answers[''][0]:.2f} / {answers[''][1]:.2f} s",
            "0.5 s",
        ),
        (
            "the same while the network trains, of 8",
            f"{answers['_training'][0]:.2f} / {answers['_training'][1]:.2f} s",
            "1 s",
        ),
        (
            "the same while a new network ranks in the background, largest of 3",
            f"{max(during):.2f} s",
            "1 s",
        ),
        ("until that network's ranking is there, 40 answers learnt with it", f"{adopted:.1f} s", "no aim"),
        ("fine-tune until adopted or refused (20 annotated slices)", f"{tuned:.0f} s", "45 s"),
        ("peak memory of the worker", f"{worker:.0f} MB", "2000 MB"),
    ], figures


def learnt_seconds(session: Any, slices: range) -> list[float]:
    """Seconds from an answer until the head has learnt it and the next query is known: what both faces wait for in the
    background. The same call is behind both."""
    found = []
    mask = np.zeros(session.study.cases.get("bench").slice_shape, dtype=np.uint8)
    for number in slices:  # that nobody read: one that is answered again has all later ones learnt anew
        mask[:] = 0
        mask[90 + 3 * number : 102 + 3 * number, 110:122] = 1
        session.present("bench", number)
        session.save(mask)
        began = time.perf_counter()
        session.learning.adapt_when_possible()
        session.learning.wait(session.learning.ranking)
        found.append(time.perf_counter() - began)
    return found


def peak_of(pid: int) -> float:
    """Largest resident memory of a process so far, MB (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return float("nan")


FACE = """
import sys, numpy, SimpleITK, time
from pathlib import Path
def used():
    return next(int(l.split()[1]) for l in open('/proc/self/status') if l.startswith('VmRSS')) / 1024
def peak():
    return next(int(l.split()[1]) for l in open('/proc/self/status') if l.startswith('VmHWM')) / 1024
before = used()
from LMIALLib.loop.settings import LoopSettings
from LMIALLib.loop.session import Session
from LMIALLib.study.store import Study
study = Study.open(Path(sys.argv[1]), reader='face')
session = Session(study, reader='face', settings=LoopSettings(train=False))
session.learning.wait(session.learning.request_ranking())
for _ in range(5):
    session.next(); session.suggestion(); session.nothing_here()
assert 'torch' not in sys.modules
print(used() - before, peak() - before)
session.close(); study.close()
"""


def face_memory(study_folder: Path) -> tuple[list[Row], dict[str, Any]]:
    """What the loop adds to a process that has numpy and SimpleITK already, as Slicer has."""
    done = subprocess.run([sys.executable, "-c", FACE, str(study_folder)], capture_output=True, text=True, check=True)
    kept, peak = (float(part) for part in done.stdout.split())
    rows: list[Row] = [("memory that LMIAL adds to the face", f"{kept:.0f} MB (peak {peak:.0f} MB)", "150 MB")]
    return rows, {"face_mb": kept, "face_peak_mb": peak}


PREDICTION = """
import sys
from pathlib import Path
from LMIALLib.network.prediction import predict
from LMIALLib.network.weights import load_weights
from LMIALLib.resources import resource
from LMIALLib.study.store import Study
with Study.open(Path(sys.argv[1]), read_only=True) as study:
    pair = study.cases.load_pair('bench')
network, _ = load_weights(resource('Weights', 'change.safetensors'))
predict(network, pair, passes=int(sys.argv[2]), seed=1)
print(next(int(l.split()[1]) for l in open('/proc/self/status') if l.startswith('VmHWM')) / 1024)
"""


def prediction_memory(study_folder: Path) -> tuple[list[Row], dict[str, Any]]:
    """Peak memory of a process that loads the pair and predicts it, for more and more passes."""
    peaks = {}
    for passes in (1, 10, 50):
        command = [sys.executable, "-c", PREDICTION, str(study_folder), str(passes)]
        peaks[passes] = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    measured = ", ".join(f"{peak:.0f}" for peak in peaks.values()) + " MB"
    rows: list[Row] = [("peak memory of prediction, T = 1, 10, 50, whole process", measured, "does not grow with T")]
    return rows, {f"predict{passes}_peak_mb": peak for passes, peak in peaks.items()}


LOADING = """
import time, torch
began = time.perf_counter()
from LMIALLib.network.weights import load_weights
from LMIALLib.resources import resource
load_weights(resource('Weights', 'change.safetensors'))
print(time.perf_counter() - began)
"""


def loading() -> tuple[list[Row], dict[str, Any]]:
    """The first load of the bundled weights, our own imports included, in a process that has torch already."""
    command = [sys.executable, "-c", LOADING]
    taken = statistics.median(
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(3)
    )
    return [("the bundled weights load in", f"{taken:.2f} s", "0.5 s")], {"load_s": taken}


def on_gpu(network: Any, batches: list[Any]) -> tuple[list[Row], dict[str, Any]]:
    """Prediction with the arrays already on a GPU, by device events; a line that says so where there is none."""
    import torch
    from work import device_milliseconds

    if not torch.cuda.is_available():
        return [("prediction on a GPU, arrays on the device, T = 10", "not measured: torch finds no GPU", "60 ms")], {}
    rows: list[Row] = []
    figures: dict[str, Any] = {"gpu": torch.cuda.get_device_name()}
    for dtype in ("bfloat16", "float32"):
        for passes in (1, 10):
            taken = device_milliseconds(network, batches, passes, dtype)
            rows.append((f"prediction on {figures['gpu']}, {dtype}, T = {passes}", f"{taken:.1f} ms", "60 ms"))
            figures[f"gpu_{dtype}_{passes}_ms"] = taken
    return rows, figures


def work_notes(network: Any, batches: list[Any], measured: dict[int, float]) -> tuple[str, dict[str, Any]]:
    """Operations and bytes of prediction beside what devices could do with them.

    Args:
        network: the bundled one.
        batches: as ``work.prediction_batches`` gives them.
        measured: seconds of prediction on this CPU (float32), by number of passes.
    """
    import torch
    from work import CPU_THREAD_PEAK, counted_work

    works = {
        (passes, dtype): counted_work(network, batches, passes, dtype)
        for dtype in ("float32", "bfloat16")
        for passes in measured
    }
    lines = [
        f"Encoder and decoder for the whole pair in {len(batches)} batches: operations of the convolutions (2 for each "
        "multiply-add), and bytes when every operator reads and writes memory.",
        "| T | type | 10^9 operations | weights, MB | inputs, MB | moved, MB | largest map, MB | H200: operations "
        "| H200: bytes |\n|---|---|---|---|---|---|---|---|---|",
    ]
    for (passes, dtype), work in works.items():
        sizes = " | ".join(f"{n / 1e6:.1f}" for n in (work.weights, work.inputs, work.moved, work.largest))
        computing, moving = work.h200_ms(dtype)
        lines.append(
            f"| {passes} | {dtype} | {work.operations / 1e9:.0f} | {sizes} | {computing:.2f} ms | {moving:.2f} ms |"
        )
    threads = torch.get_num_threads()
    for passes, taken in measured.items():
        rate = works[passes, "float32"].operations / taken
        lines.append(
            f"CPU, T = {passes}: {taken:.1f} s are {rate / 1e9:.0f} GFLOP/s, {rate / (threads * CPU_THREAD_PEAK):.0%} "
            f"of the peak of {threads} AVX2 cores ({threads} x {CPU_THREAD_PEAK / 1e9:.0f} GFLOP/s)."
        )
    lines.append(
        "An H200 needs at least the time of the operations, and that of the bytes as far as maps leave its 50 MB "
        "cache; the sums over passes, launching kernels and copying results come on top."
    )
    return "\n".join(lines), {f"work_{dtype}_{passes}": vars(work) for (passes, dtype), work in works.items()}


def start_up() -> tuple[list[Row], dict[str, Any]]:
    """Import and help, less what Python itself takes; torch is not imported."""

    def run(*words: str) -> float:
        return seconds(lambda: subprocess.run([sys.executable, *words], capture_output=True, check=True), repeats=7)

    bare = run("-c", "pass")
    imported = run("-c", "import LMIALLib, sys; assert 'torch' not in sys.modules") - bare
    helped = run("-m", "LMIALLib", "--help")
    return [
        ("import LMIALLib", f"{max(imported, 0):.3f} s", "0.1 s"),
        ("lmial --help, whole process", f"{helped:.2f} s", "0.5 s"),
    ], {"import_s": imported, "help_s": helped}


def main() -> None:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference-slices", type=int, default=4, help="whole slices on which the reference is timed")
    arguments = parser.parse_args()
    import torch
    from work import prediction_batches

    from LMIALLib.network.weights import load_weights
    from LMIALLib.resources import resource
    from LMIALLib.study.store import Study

    rows: list[Row] = []
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as work:
        folder, study_folder = Path(work), Path(work) / "study"
        raw_pair(folder)
        parts = (
            start_up,
            loading,
            lambda: loop(folder, study_folder),
            lambda: face_memory(study_folder),
            lambda: prediction_memory(study_folder),
        )
        for part in parts:
            more, found = part()
            rows += more
            figures |= found
        with Study.open(study_folder, read_only=True) as study:
            pair = study.cases.load_pair("bench")
        more, found = networks(pair, arguments.reference_slices)
        rows += more
        figures |= found
    network, _ = load_weights(resource("Weights", "change.safetensors"))
    batches = prediction_batches(network, pair)
    more, found = on_gpu(network, batches)
    rows += more
    figures |= found
    notes, found = work_notes(network, batches, {1: figures["single_s"], 10: figures["bald10_s"]})
    figures |= found
    print(
        f"{pair.n_slices} slices of {pair.slice_shape[0]} x {pair.slice_shape[1]}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, load before {os.getloadavg()[0]:.1f}"
    )
    print("| what | measured | aim |\n|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(f"\n{notes}")
    out = Path("bench")
    out.mkdir(exist_ok=True)
    conditions = {"torch": torch.__version__, "threads": torch.get_num_threads(), "python": platform.python_version()}
    (out / "speed.json").write_text(json.dumps({**conditions, **figures}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
