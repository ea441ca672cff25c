"""A report for people: one HTML file that needs nothing else, with what was read, by whom, and every lesion."""

from __future__ import annotations

import base64
import html
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from LMIALLib.json_data import Natural, shaped
from LMIALLib.pairs.orientation import orientation
from LMIALLib.pairs.registration_record import alarms
from LMIALLib.study.answer import KINDS, Answer
from LMIALLib.study.case import Case
from LMIALLib.study.clock import now
from LMIALLib.study.lesion import Lesion
from LMIALLib.study.store import Study
from LMIALLib.study.tables import lesion_rows
from LMIALLib.version import __version__

if TYPE_CHECKING:
    from LMIALLib.pairs.pair import Pair

PICTURES = 12
"""Slices of a case that are shown, those with the largest drawn area first chosen, then in order."""
WINDOW = (-4.0, 5.0)
"""Black and white of the pictures, in robust standard deviations of the brain."""
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#1c232b}
table{border-collapse:collapse;margin:.6em 0}
td,th{padding:3px 14px 3px 0;text-align:left;border-bottom:1px solid #d5dbe1}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}.read{font-size:20px}.warn{color:#a33}small{color:#5a6672}
figure{margin:10px 0}figcaption{color:#5a6672;font-size:13px}img{width:100%;max-width:960px}
@media print{h2{break-before:page}}
"""
LIKE = "The scans look like those that the bundled network learned from."
NOT_LOOKED_AT = "Whether the scans look like those that the network learned from was not looked at by this older LMIAL."
_SHOWN = (
    ("lesion", "lesion"), ("class", "class"), ("proposed_class", "proposed"), ("status", "status"),
    ("volume_ml", "ml"), ("first_slice", "from slice"), ("last_slice", "to slice"), ("centroid_l_mm", "L mm"),
    ("centroid_p_mm", "P mm"), ("centroid_s_mm", "S mm"),
)  # fmt: skip


def report_page(
    study: Study,
    cases: Sequence[Case],
    *,
    reader: str | None = None,
    lesions: Mapping[str, Sequence[Lesion]],
) -> str:
    """The page for some cases, as HTML.

    Args:
        reader: only answers by this reader; None: the newest by any.
        lesions: case to its changed lesions, see ``study.lesions``.
    """
    read = sum(len(_answers_of(study, case, reader)) for case in cases)
    total = sum(case.n_slices for case in cases)
    parts = [f"<h1>{html.escape(study.folder.name)}</h1>"]
    parts.append(f'<p class="read"><b>{read} of {total} slices read by a person.</b></p>')
    parts.append(
        "<p>What nobody read is unknown, not “no change”. Research use only; not for diagnosis. "
        f"<small>LMIAL {__version__}, {html.escape(now())}</small></p>"
    )
    for case in cases:
        parts += _case(study, case, reader, lesions[case.name])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(study.folder.name)}</title>'
        f"<style>{STYLE}</style>{''.join(parts)}</html>"
    )


def _answers_of(study: Study, case: Case, reader: str | None) -> dict[int, Any]:
    return study.answers.current(case.name, reader=reader)


def _case(study: Study, case: Case, reader: str | None, lesions: Sequence[Lesion]) -> Iterable[str]:
    answers, pair = _answers_of(study, case, reader), study.cases.load_pair(case.name)
    record = pair.registration
    alarmed = {alarm.about: alarm.sentence for alarm in alarms(record)}
    dates = record.get("dates", {})
    counts = [
        f"{kind.word} {sum(answer.answer == kind.name for answer in answers.values())}"
        for kind in KINDS.values()
        if kind.settles
    ]
    readers = ", ".join(sorted({answer.reader for answer in answers.values()})) or "nobody"
    minutes = sum(answer.seconds or 0.0 for answer in answers.values()) / 60
    yield f"<h2>{html.escape(case.name)}</h2>"
    yield _table(
        ("", ""),
        [
            ("subject", case.subject),
            ("prior, current", f"{dates.get('baseline') or 'no date'}, {dates.get('follow_up') or 'no date'}"),
            ("registration", str(record.get("sentence", ""))),
            ("region", alarmed.get("region", _region(record))),
            ("network", alarmed.get("family", LIKE if "family" in record else NOT_LOOKED_AT)),
            ("read", f"{len(answers)} of {case.n_slices} slices: {', '.join(counts)}"),
            ("patient", _finished(study, case, answers)),
            ("readers", f"{readers}; {minutes:.1f} minutes"),
            ("agreement with the suggestion", agreement(answers.values())),
        ],
        warn=tuple(row for row, about in ((2, "registration"), (3, "region"), (4, "family")) if about in alarmed),
    )  # fmt: skip
    where = f"{study.folder}: estimates"
    yield curve([shaped(one, Expected, where) for _, one in study.rankings.estimates(case.name)])
    rows = lesion_rows(case, lesions)
    if rows:
        for row in rows:  # as readers count
            row["first_slice"] += 1
            row["last_slice"] += 1
        yield f"<h3>{len(rows)} changed lesion{'s' if len(rows) > 1 else ''}</h3>"
        yield _table([title for _, title in _SHOWN], [[str(row[key]) for key, _ in _SHOWN] for row in rows], numbers=4)
    else:
        yield "<p>No change is marked.</p>"
    yield from _pictures(pair, answers)


def _finished(study: Study, case: Case, answers: Mapping[int, Any]) -> str:
    """Whether a reader declared the patient finished, and how many slices were viewed without an answer."""
    viewed = len(study.sweeps.viewed(case.name) - answers.keys())
    finished = study.patients.finished(case.name)
    word = (
        f"finished, says {finished.reader}, {finished.stated_at[:10]}"
        if finished is not None
        else "not called finished"
    )
    return f"{word}; {viewed} more slices looked at"


def agreement(answers: Collection[Answer]) -> str:
    """How far readers agree with what was suggested, where they saw it first and where they answered blind.

    A large distance between both says that the suggestion leads its readers. Dice is pooled over voxels.
    """
    parts = []
    for seen, words in ((False, "answered blind"), (True, "suggestion shown first")):
        tests = [one.test for one in answers if one.test is not None and one.suggestion_seen is seen]
        voxels = sum(test.predicted + test.marked for test in tests)
        dice = f"Dice {2 * sum(test.overlap for test in tests) / voxels:.2f}" if voxels else "no change in either"
        parts.append(f"{words}: {dice} on {len(tests)} slices" if tests else f"{words}: no slice")
    return "; ".join(parts)


@dataclass(frozen=True)
class Expected:
    """What a ranking expected of a delivered label: its Dice after some answers, with the ends of its interval."""

    answers: Natural
    dice: float | None = None
    dice_low: float = 0.0
    dice_high: float = 1.0


def curve(estimates: Sequence[Expected]) -> str:
    """The expected Dice of the delivered label over the answers, with its interval, as inline SVG; nothing for fewer
    than two."""
    known = {one.answers: (one.dice, one.dice_low, one.dice_high) for one in estimates if one.dice is not None}
    if len(known) < 2:
        return ""
    most = max(known)

    def point(answers: int, dice: float) -> str:
        return f"{600 * answers / most:.1f},{120 * (1 - dice):.1f}"

    line = " ".join(point(n, one[0]) for n, one in sorted(known.items()))
    band = [point(n, one[2]) for n, one in sorted(known.items())]
    band += [point(n, one[1]) for n, one in sorted(known.items(), reverse=True)]
    dice, low, high = known[most]
    return (
        '<figure><svg viewBox="0 0 600 120" width="600" height="120" role="img">'
        f'<polygon points="{" ".join(band)}" fill="#cfe3ee"/><polyline points="{line}" fill="none" stroke="#b87300" '
        'stroke-width="2"/></svg><figcaption>Expected Dice of the delivered label (0 to 1) after 0 to '
        f"{most} answers, with its 90 % interval; now {dice:.2f} ({low:.2f} to {high:.2f}).</figcaption></figure>"
    )


def _region(record: Mapping[str, Any]) -> str:
    """Where the case was searched, in words."""
    brain = record.get("brain", {})
    searched = {"given": "the region that was given", "everything": "the whole volume"}
    size = f", {brain['millilitres']:.0f} ml" if isinstance(brain.get("millilitres"), int | float) else ""
    return searched.get(str(brain.get("method", "")), "the brain") + size


def _table(
    titles: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: int = 99, warn: tuple[int, ...] = ()
) -> str:
    """An HTML table; columns from ``numbers`` on are figures, rows in ``warn`` are warnings."""

    def cells(row: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=n' if column >= numbers else ''}>{html.escape(text)}</{tag}>"
            for column, text in enumerate(row)
        )

    head = f"<tr>{cells(titles, 'th')}</tr>" if any(titles) else ""
    body = "".join(
        f"<tr{' class=warn' if number in warn else ''}>{cells(row, 'td')}</tr>" for number, row in enumerate(rows)
    )
    return f"<table>{head}{body}</table>"


def _pictures(pair: Pair, answers: Mapping[int, Any]) -> Iterable[str]:
    drawn = {number: answer.mask for number, answer in answers.items() if answer.answer == "mask"}
    largest = sorted(drawn, key=lambda number: -int(np.count_nonzero(drawn[number])))[:PICTURES]
    if len(largest) < len(drawn):
        yield f"<p><small>The {len(largest)} slices with most change, of {len(drawn)}:</small></p>"
    for number in sorted(largest):
        letters = "left edge {}, top edge {}".format(*orientation(pair.grid, pair.axis).letters[::2])
        picture = base64.b64encode(_png(pair, number, drawn[number])).decode()
        yield (
            f'<figure><img alt="slice {number + 1}" src="data:image/png;base64,{picture}">'
            f"<figcaption>Slice {number + 1} of {pair.n_slices}: prior, current, current with the drawn change; "
            f"{letters}</figcaption></figure>"
        )


def _png(pair: Pair, number: int, mask: np.ndarray) -> bytes:
    """Prior, current, and current with the outline of ``mask``, beside each other as PNG; square pixels."""
    import SimpleITK as sitk
    from scipy import ndimage

    turned = orientation(pair.grid, pair.axis)
    rows, columns = reversed(pair.in_plane_spacing) if turned.transpose else pair.in_plane_spacing
    zoom = (rows / min(rows, columns), columns / min(rows, columns))
    visits = (turned.apply(pair.stack(array)[number]) for array in (pair.baseline, pair.follow_up))
    grey = [_grey(ndimage.zoom(image, zoom, order=1)) for image in visits]
    marked = np.stack([grey[1]] * 3, axis=-1)
    inside = ndimage.zoom(turned.apply(mask != 0).astype(np.uint8), zoom, order=0).astype(bool)
    marked[inside & ~ndimage.binary_erosion(inside)] = (242, 177, 52)
    whole = np.concatenate([np.stack([image] * 3, axis=-1) for image in grey] + [marked], axis=1)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "slice.png"
        sitk.WriteImage(sitk.GetImageFromArray(np.ascontiguousarray(whole), isVector=True), str(file), True)
        return file.read_bytes()


def _grey(image: np.ndarray) -> np.ndarray:
    low, high = WINDOW
    return np.asarray(np.clip((image - low) / (high - low) * 255, 0, 255), dtype=np.uint8)
