"""Which visit came first: by dates, by known words, else by the user; always with its basis."""

from __future__ import annotations

import json
from datetime import date, time
from itertools import permutations
from pathlib import Path

import pytest

from LMIALLib.datasets import Listing, list_cases
from LMIALLib.datasets.visit_names import order_of_names
from LMIALLib.errors import WrongUse
from LMIALLib.pairs.visit_date import When, read_when

BY_WORDS = [
    "pre post", "baseline 1y", "test retest", "baseline followup", "bl fu", "BL FU1 FU2", "preop intraop postop",
    "pre mid post", "baseline m06 m12", "baseline 6m 1y", "m00 m12 m24", "y0 y2", "wk0 wk4 wk12", "w4 w52", "d0 d30",
    "baseline fu6mo fu1y", "followup followup2", "pre1 pre2 post1", "scan rescan", "screening fu", "first second",
    "1st 2nd 3rd", "baseline month6 month12", "6months 1year", "0m 18mo 2yr", "initial final", "prior current",
    "baseline 2 3", "prechemo postchemo", "baselinemri followupmri", "pretreatment posttreatment", "bl m12",
    "baseline week04 week12", "pre post3m post1y", "day1 week1 month1", "before after", "entry exit", "y1 y2 y10",
    "ses-pre ses-post", "v1 v2 final",
]  # fmt: skip
BY_NUMBERS = [
    "1 2", "01 02 10", "tp1 tp2", "t0 t1", "visit1 visit2 visit10", "MR1 MR2", "P1T1 P1T2", "i ii iii", "2019 2021",
    "wave1 wave2", "1a 2a", "V01 V02",
]  # fmt: skip
ASKED = [
    "red blue", "pre prex", "1y 12mo", "baseline m00", "followup 6m", "baseline pre", "post post1", "1 followup",
    "A1 B1", "abc abd", "03012019 01032019", "100119 090120", "baseline 0", "tp1 v2", "ms ctrl", "r1d2 r2d1",
    "wk4 d28", "1 01", "visit-1 visit_1",
]  # fmt: skip


@pytest.mark.parametrize("names", BY_WORDS)
def test_known_words_in_their_order(names: str) -> None:
    expected = tuple(names.split())
    for given in permutations(expected):
        found = order_of_names(given)
        assert found is not None and (found.names, found.by) == (expected, "the words in their names")


@pytest.mark.parametrize("names", BY_NUMBERS)
def test_numbers_in_their_order(names: str) -> None:
    expected = tuple(names.split())
    for given in permutations(expected):
        found = order_of_names(given)
        assert found is not None and (found.names, found.by) == (expected, "the numbers in their names")


@pytest.mark.parametrize("names", ASKED)
def test_names_that_do_not_tell(names: str) -> None:
    for given in permutations(names.split()):
        assert order_of_names(given) is None


def test_dates_and_letters_in_names() -> None:
    def told(*names: str) -> tuple[tuple[str, ...], str] | None:
        found = order_of_names(names)
        return None if found is None else (found.names, found.by)

    assert told("20200301", "20190412") == (("20190412", "20200301"), "the dates in their names")
    # 31 December 2018 and 1 January 2020 have one order; 3 January and 1 March (or 1 March and 3 January) have not.
    assert told("31122018", "01012020") == (("31122018", "01012020"), "the dates in their names")
    assert told("visitB", "visitA") == (("visitA", "visitB"), "the letters in their names")
    assert told("b", "a") == (("a", "b"), "the letters in their names")
    assert told("s01_post_FLAIR", "s01_pre_FLAIR") == (("s01_pre_FLAIR", "s01_post_FLAIR"), "the words in their names")


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("2019-03-01T10:20:30", When(date(2019, 3, 1), time(10, 20, 30))),
        ("2019-03-01T10:20:30.123456Z", When(date(2019, 3, 1), time(10, 20, 30))),
        ("2019-03-01 10:20:30+02:00", When(date(2019, 3, 1), time(10, 20, 30))),
        ("2019-03-01", When(date(2019, 3, 1))),
        ("2019/03/01", When(date(2019, 3, 1))),
        ("20190301", When(date(2019, 3, 1))),
        ("20190301102030.500000", When(date(2019, 3, 1), time(10, 20, 30))),
        ("1892-03-01T10:20:30", When(date(1892, 3, 1), time(10, 20, 30))),
        *[(text, None) for text in ("10:20:30", "n/a", "01.03.2019", "03/01/2019", "2019-13-01", "2019", "0000-00-00")],
    ],
)
def test_days_and_times_as_they_are_written(text: str, when: When | None) -> None:
    assert read_when(text) == when


def data_set(root: Path, *names: str, scans: dict[str, str] | None = None, sidecars: dict[str, object] | None = None,
             sessions: dict[str, str] | None = None) -> Listing:  # fmt: skip
    """One subject with empty images, and what the three sources say of their dates; imported as BIDS."""
    subject = root / "sub-01"
    for name in names:
        image = subject / f"ses-{name}" / "anat" / f"sub-01_ses-{name}_FLAIR.nii.gz"
        image.parent.mkdir(parents=True)
        image.touch()
        if name in (sidecars or {}):
            fields = sidecars[name]  # type: ignore[index]
            image.with_name(f"sub-01_ses-{name}_FLAIR.json").write_text(json.dumps(fields))
        if name in (scans or {}):
            rows = f"filename\tacq_time\nanat/{image.name}\t{scans[name]}\n"  # type: ignore[index]
            (subject / f"ses-{name}" / f"sub-01_ses-{name}_scans.tsv").write_text(rows)
    if sessions:
        rows = "".join(f"{name}\t{text}\n" for name, text in sessions.items())
        (subject / "sub-01_sessions.tsv").write_text(f"session_id\tacq_time\n{rows}")
    return list_cases("bids", root)


def order(found: Listing) -> list[str]:
    """Sessions of the cases, and what was told."""
    return [case.name.removeprefix("sub-01_") for case in found.cases]


def told(found: Listing) -> str:
    (note,) = found.notes if found.cases else found.left_out
    return note.sentence


EARLY, LATE = "2019-03-01T10:00:00", "2020-03-01T10:00:00"


@pytest.mark.parametrize(("earlier", "later"), [("pre", "post"), ("baseline", "1y"), ("test", "retest")])
def test_sessions_by_words_say_so(tmp_path: Path, earlier: str, later: str) -> None:
    found = data_set(tmp_path, later, earlier)
    assert order(found) == [f"ses-{earlier}_ses-{later}"]
    assert told(found) == f"ses-{earlier} and ses-{later} are in this order by the words in their names."


@pytest.mark.parametrize("source", ["scans", "sidecars", "sessions"])
def test_dates_beat_names_and_the_contradiction_is_told(tmp_path: Path, source: str) -> None:
    dates: dict[str, object] = {"2": EARLY, "1": LATE}
    if source == "sessions":
        dates = {f"ses-{name}": text for name, text in dates.items()}
    if source == "sidecars":
        dates = {"2": {"AcquisitionDateTime": EARLY}, "1": {"AcquisitionDate": "20200301", "AcquisitionTime": "101010"}}
    found = data_set(tmp_path, "1", "2", **{source: dates})  # type: ignore[arg-type]
    assert order(found) == ["ses-2_ses-1"]
    named = {"scans": "scans.tsv", "sidecars": "the JSON beside the images", "sessions": "sub-01_sessions.tsv"}[source]
    assert f"are in this order by the dates in {named}" in told(found)
    assert "the numbers in their names contradict it (ses-1, ses-2)" in told(found)
    assert found.cases[0].dates == ("2019-03-01", "2020-03-01")


def test_sources_that_contradict_each_other_are_told(tmp_path: Path) -> None:
    found = data_set(tmp_path / "a", "pre", "post", scans={"pre": EARLY, "post": LATE},
                     sessions={"ses-pre": LATE, "ses-post": EARLY})  # fmt: skip
    assert order(found) == ["ses-pre_ses-post"]
    assert "by the dates in scans.tsv" in told(found)
    assert "the dates in sub-01_sessions.tsv contradict it" in told(found)
    assert "scans.tsv and sub-01_sessions.tsv date ses-pre, ses-post differently" in told(found)
    found = data_set(tmp_path / "b", "1", "2", "3", sessions={"1": LATE, "2": EARLY, "3": "n/a"})
    assert not found.cases
    assert "is unknown: their names contradict the dates in sub-01_sessions.tsv" in told(found)
    assert "dates ses-1, ses-2 but not ses-3" in told(found) and "--order 1,2,3" in told(found)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("1890-05-01T10:00:00", "1891-05-01T09:00:00", "by the shifted dates in scans.tsv"),
        ("10:00:00", "09:00:00", "holds no day but '09:00:00', so it gives no order"),
        ("T10:00:00", "09:00", "so it gives no order"),
        ("1900-01-01T10:00:00", "1900-01-01T09:00:00", "one day for all (1900-01-01), which stands for no day"),
        ("1970-01-01T10:00:00", "1970-01-01T09:00:00", "stands for no day"),
        ("1899-12-30", "1899-12-30", "stands for no day"),
        ("2019-03-01", "2019-03-01", "one time for several"),
        ("2019-03-01T10:00:00", "1900-01-01T10:00:00", "shifts some dates to 1925 and before, and others not"),
        ("2019-03-01", "n/a", "dates ses-pre but not ses-post"),
        ("01.03.2020", "01.04.2019", "holds no day but '01.04.2019'"),
        ("2019-03-01T09:00:00", "2019-03-01T10:00:00", "by the dates in scans.tsv"),
        ("2019-13-45", "0000-00-00", "so it gives no order"),
    ],
)
def test_shifted_days_order_and_times_alone_do_not(tmp_path: Path, first: str, second: str, said: str) -> None:
    found = data_set(tmp_path, "pre", "post", scans={"pre": first, "post": second})
    assert order(found) == ["ses-pre_ses-post"] and said in told(found)
    by_dates = said.startswith("by the")
    assert by_dates or "by the words in their names" in told(found)
    shown = found.cases[0].dates
    assert shown == tuple(text[:10] if text.startswith("2019-03") else None for text in (first, second))


def test_what_nobody_can_know_is_asked(tmp_path: Path) -> None:
    found = data_set(tmp_path, "red", "blue")
    assert not found.cases
    assert "which of ses-blue and ses-red came first is unknown: neither dates nor names show it" in told(found)
    assert told(found).endswith("give --order blue,red, the earliest first.")
    for said in (["red", "blue"], ["ses-red", "x", "ses-blue"]):
        again = list_cases("bids", tmp_path, order=said)
        assert order(again) == ["ses-red_ses-blue"] and "by the option --order" in told(again)
    assert not list_cases("bids", tmp_path, order=["red", "green"]).cases
    with pytest.raises(WrongUse, match="layout bids only"):
        list_cases("csv", tmp_path, order=["a", "b"])


def test_what_order_says_goes_before_dates_and_the_contradiction_is_told(tmp_path: Path) -> None:
    data_set(tmp_path, "pre", "post", scans={"pre": EARLY, "post": LATE})
    found = list_cases("bids", tmp_path, order=["post", "pre"])
    assert order(found) == ["ses-post_ses-pre"]
    assert "the dates in scans.tsv contradict it" in told(found)
    assert "the words in their names contradict it" in told(found)


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe\x00", b"[" * 5000, b"[]", b'{"AcquisitionDate": {"a": 1}}', b'{"AcquisitionDateTime": 20190301}',
     b'{"AcquisitionTime": "10:00:00"}', b"{" + b" " * (2 << 20) + b"}"],
    ids=["bytes", "deep", "list", "object", "number", "time", "large"],
)  # fmt: skip
def test_a_sidecar_that_dates_nothing(tmp_path: Path, content: bytes) -> None:
    data_set(tmp_path, "pre", "post")
    for name in ("pre", "post"):
        place = tmp_path / "sub-01" / f"ses-{name}" / "anat" / f"sub-01_ses-{name}_FLAIR.json"
        place.write_bytes(content)
    assert order(list_cases("bids", tmp_path)) == ["ses-pre_ses-post"]


def test_a_time_of_another_scan_of_the_session_dates_it(tmp_path: Path) -> None:
    data_set(tmp_path, "1", "2", scans={"1": "n/a", "2": EARLY})
    table = tmp_path / "sub-01" / "ses-1" / "sub-01_ses-1_scans.tsv"
    table.write_text(f"acq_time\tfilename\n{LATE}\tanat/sub-01_ses-1_T1w.nii.gz\n")
    assert order(list_cases("bids", tmp_path)) == ["ses-2_ses-1"]
    table.unlink()
    (tmp_path / "sub-01" / "sub-01_scans.tsv").write_text(
        f"filename\tacq_time\nses-1/anat/sub-01_ses-1_FLAIR.nii.gz\t{LATE}\nses-2/anat/x.nii.gz\t{EARLY}\n"
    )
    assert order(list_cases("bids", tmp_path)) == ["ses-2_ses-1"]
