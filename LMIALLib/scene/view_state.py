"""What the page shows, as plain values made from the workspace. Slices are counted from 1 here, as readers do."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from LMIALLib.loop.shortcuts import SHORTCUTS
from LMIALLib.pairs.registration_record import alarms
from LMIALLib.scene.patient_shown import patient_of
from LMIALLib.scene.query_shown import figure, query_of, queued
from LMIALLib.scene.screen import Screen
from LMIALLib.scene.workspace import Workspace
from LMIALLib.study.answer import KIND_OF
from LMIALLib.study.lesion import MODELS_ALONE, READ, Lesion
from LMIALLib.study.status import status_of

QUEUE = 12
"""Queries listed on the page."""
DOING = {
    "register": "Registering",
    "region": "Changing the region",
    "finetune": "Learning",
    "rank": "Ranking",
    "rank anew": "Ranking",
}
"""What the page says while a job of the worker runs."""
RING_MM = 9.0
"""Radius of the ring around a query's spot: it leaves what it points at free."""


def fixed() -> dict[str, Any]:
    """What never changes while the server runs."""
    return {
        "shortcuts": [
            {"key": s.key, "action": s.action, "tip": s.tip, "held": s.held, "answers": s.action in KIND_OF}
            for s in SHORTCUTS
        ],
        "tips": {s.action: f"{s.tip} ({s.key})" for s in SHORTCUTS},
    }


def shown(workspace: Workspace) -> dict[str, Any]:
    """Everything that changes, by the name under which the page knows it."""
    advice = workspace.session.stop_advice()
    return {
        "banner": _banner(workspace),
        "query": query_of(workspace),
        "queue": [queued(workspace, one) for one in workspace.screen.queue[:QUEUE]],
        "waiting": len(workspace.screen.queue),
        "strip": _strip(workspace),
        "look": look_of(workspace),
        "tools": _tools(workspace.screen),
        "lesions": _lesions(workspace),
        "training": training_of(workspace),
        "advice": advice.sentence if advice.stop is not None else "",
        "patient": patient_of(workspace),
    }


def listed(workspace: Workspace) -> list[dict[str, Any]]:
    """The changed lesions of the case; apart from ``shown``, because finding them anew takes a moment."""
    return [_object(one) for one in workspace.lesion_list.lesions()]


def quick(workspace: Workspace) -> dict[str, Any]:
    """The part of ``shown`` that scrolling, zooming and painting can change."""
    return {"look": look_of(workspace), "tools": _tools(workspace.screen), "lesions": _lesions(workspace)}


def _banner(workspace: Workspace) -> dict[str, Any]:
    study = workspace.session.study
    cases = [
        {"name": one.name, "read": one.read, "slices": one.n_slices, "split": one.split}
        for one in status_of(study).cases
    ]
    known: dict[str, Any] = {"case": "", "subject": "", "prior": "", "current": "", "registration": None, "alarms": []}
    known |= {"region": "", "remarks": []}
    if workspace.open is not None:
        record = workspace.open.images.pair.registration
        dates = record.get("dates", {})
        known = {
            "case": workspace.open.case,
            "subject": study.cases.get(workspace.open.case).subject,
            "prior": _date(dates.get("baseline")),
            "current": _date(dates.get("follow_up")),
            "registration": _registration(record),
            "alarms": [asdict(alarm) for alarm in alarms(record)],
            "region": _region(record),
            "remarks": [str(remark) for remark in record.get("remarks", [])],
        }
    return known | {
        "study": study.folder.name,
        "reader": workspace.session.reader,
        "cases": cases,
        "watching": str(study.why_read_only or ""),
        "may_take_over": study.why_read_only is not None and study.why_read_only.holder is not None,
    }


def _date(text: Any) -> str:
    digits = str(text or "")
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}" if len(digits) == 8 and digits.isdigit() else digits


def _registration(record: dict[str, Any]) -> dict[str, Any]:
    quality = record.get("quality")
    figure = f" {quality:.2f}" if isinstance(quality, float) else ""
    alarm = bool(record.get("alarm"))
    return {
        "text": f"Registration{figure}" if not alarm else f"Registration poor{figure}",
        "alarm": alarm,
        "tip": str(record.get("sentence", "")),
    }


def _region(record: dict[str, Any]) -> str:
    """What is searched, in a few words."""
    found = record.get("brain", {})
    words = {"everything": "the whole volume", "given": "the region that was given", "foreground": "the whole body"}
    size = found.get("millilitres")
    return words.get(str(found.get("method")), "the brain") + (
        f", {size:.0f} ml" if isinstance(size, int | float) else ""
    )


def _strip(workspace: Workspace) -> dict[str, Any]:
    screen, study = workspace.screen, workspace.session.study
    if screen.open is None:
        return {"bars": [], "label": ""}
    case, count = screen.open.case, screen.open.images.pair.n_slices
    stored = study.rankings.latest()
    scores = stored.scores.get(case) if stored else None
    heights = np.zeros(count)
    if scores is not None and len(scores) == count:
        finite = np.where(np.isfinite(scores), scores, 0.0)
        heights = np.clip(finite / max(float(finite.max()), 1e-12), 0.0, 1.0)
    asked = {query.slice for query in screen.queue[: screen.session.settings.batch] if query.case == case}
    bars, viewed = [], study.sweeps.viewed(case)
    for number in range(count):
        answer = screen.answers.get(number)
        unread = "draft" if number in screen.drafts else "viewed" if number in viewed else ""
        bars.append([round(float(heights[number]), 3), answer.answer if answer else unread, number in asked])
    return {"bars": bars, "label": f"Score of each slice of {case}; {len(screen.answers)} of {count} read"}


def look_of(workspace: Workspace) -> dict[str, Any]:
    """Where the views are."""
    screen, viewing = workspace.screen, workspace.viewing
    if screen.open is None:
        return {"ready": False}
    navigation, here, tools = screen.open.navigation, screen.session.current, screen.tools
    main, place = navigation.current == 0, viewing.sight.place
    return {
        "ready": True,
        "slice": navigation.slice + 1,
        "of": navigation.plane.n_slices,
        "plane": navigation.plane.name,
        "main": main,
        "letters": list(navigation.plane.letters),
        "away": here is not None and not (main and navigation.slice == here.slice),
        "paintable": screen.paintable,
        "mm_per_pixel": navigation.mm_per_pixel,
        "swapped": tools.swapped,
        "contrast": screen.open.images.contrasts[tools.contrast],
        "answered": screen.answers[navigation.slice].answer if main and navigation.slice in screen.answers else "",
        "pair": viewing.pair_shown,
        "place": place.number if place else 0,
        "ring": _ring(screen),
    }


def _ring(screen: Screen) -> list[float]:
    """Where the slice views ring the spot for which a slice was chosen: x and y of its centre and half its width and
    height, as fractions of a view from its lower left corner; empty where there is no such spot."""
    here = screen.session.current
    spot = here.query.centre if here and here.query and here.query.drawn == "strategy" else None
    if spot is None or screen.tools.hidden or not here or screen.shown_slice != here.slice:
        return []
    (width, height), navigation = screen.views["follow_up"].size, screen.opened().navigation
    x, y = navigation.pixel_of(*spot, (width, height))
    radius = RING_MM / navigation.mm_per_pixel
    return [round(value, 4) for value in (x / width, y / height, radius / width, radius / height)]


def _tools(screen: Screen) -> dict[str, Any]:
    tools, opened = screen.tools, screen.open
    drawing = opened.drawing if opened else None
    schema = screen.session.study.label_schema
    return {
        "tool": tools.tool,
        "diameter": round(tools.diameter_mm, 1),
        "value": tools.value,
        "classes": [{"value": c.value, "name": c.name, "colour": _css(c.colour)} for c in schema.classes],
        "opacity": round(100 * tools.opacity),
        "visible": (tools.showing or tools.always) and not tools.hidden,
        "always": tools.always,
        "own_map": tools.own_map,
        "hidden": tools.hidden,
        "undo": bool(drawing and screen.paintable and drawing.can_undo),
        "redo": bool(drawing and screen.paintable and drawing.can_redo),
        "top": figure(opened.overlays.top) if opened else "",
        "reach": figure(opened.images.reach) if opened else "",
        "contrasts": len(opened.images.contrasts) if opened else 1,
        "brightness": round(100 * tools.brightness),
        "width": round(100 * tools.width),
    }


def _css(colour: tuple[float, float, float]) -> str:
    return "rgb({}, {}, {})".format(*(round(255 * part) for part in colour))


def _lesions(workspace: Workspace) -> list[dict[str, Any]]:
    schema = workspace.session.study.label_schema
    rows = []
    for number, lesion in enumerate(workspace.painting.lesions()):
        named = schema.name_of(lesion.value)
        hint = f"looks {lesion.proposed}" if lesion.proposed and named == schema.classes[0].name else ""
        rows.append({"number": number + 1, "value": lesion.value, "area": f"{lesion.area_mm2:.0f}", "hint": hint})
    return rows


def _object(lesion: Lesion) -> dict[str, Any]:
    """A lesion of the case, as its list shows it; a class that no reader gave has a question mark."""
    first, last = lesion.first_slice + 1, lesion.last_slice + 1
    proposed = bool(lesion.proposed and not lesion.confirmed)
    tip = [f"largest on slice {lesion.largest_slice + 1}", f"diameter {lesion.diameter_mm:.1f} mm"]
    tip += [f"difference {lesion.difference_sd:+.1f} SD"]
    tip += ["class proposed by both visits, no reader set it"] if proposed else []
    tip += [] if lesion.confidence is None else [f"mean probability {lesion.confidence:.2f}"]
    return {
        "number": lesion.number,
        "class": f"{lesion.kind}?" if proposed else lesion.kind,
        "ml": f"{lesion.volume_ml:.2f}" if lesion.volume_ml >= 0.005 else f"{lesion.volume_ml:.3f}",
        "slices": f"{first}" if first == last else f"{first}-{last}",
        "read": "suggested" if lesion.status == MODELS_ALONE else lesion.status,
        "tip": ", ".join(tip),
        "suggested": lesion.status != READ,
    }


def training_of(workspace: Workspace) -> dict[str, Any]:
    """The running registration, training or ranking, else nothing; 100 % is never shown before it is done."""
    learning, in_use = workspace.session.learning, workspace.session.study.models.in_use()
    changing = learning.pairs.running
    shown = {"on": False, "what": "", "share": 0, "round": in_use.round if in_use else 0, "changing": changing}
    for job in (learning.pairs.job, learning.training, learning.ranking, learning.ranking_anew):
        if job is None or job.over:
            continue
        event = job.progress
        known = {} if event is None else event.figures
        figures = [f"{'Dice' if name == 'dice' else name} {value:.2f}" for name, value in known.items() if value]
        left = None if event is None else event.seconds_left
        return shown | {
            "on": True,
            "what": DOING[job.do],
            "share": round(0.0 if event is None else min(event.share, 0.99), 3),
            "left": "" if left is None else f"{left:.0f} s left" if left < 90 else f"{left / 60:.0f} min left",
            "figures": ", ".join(figures),
        }
    return shown
