"""Nothing is lost, nobody else gets in, and one person annotates at a time."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from LMIALLib.study.store import Study

from .conftest import Reader, Server


def test_a_drawing_comes_back_after_the_server_was_killed(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    server = serve(study_folder)
    reader = sit_down(server.address)
    here = reader.state("query")["slice"]
    reader.stroke("follow_up", (0.45, 0.45), (0.55, 0.5))
    reader.until("s('lesions').length === 1")
    reader.stroke("follow_up", (0.3, 0.5), (0.35, 0.55), release=False)  # the hand is still down
    server.kill()
    reader.page.wait_for_selector(".gone")
    reader.picture("server-gone")
    with Study.open(study_folder, read_only=True) as study:
        kept = study.drafts.get("head", here - 1).mask
    assert kept.any()
    again = sit_down(serve(study_folder).address)
    assert again.state("query")["slice"] == here and again.state("query")["draft"]
    assert len(again.state("lesions")) >= 1
    again.picture("draft-back")
    again.press("Control+Enter")
    again.until(f"s('query').slice !== {here}")
    with Study.open(study_folder, read_only=True) as study:
        assert np.array_equal(study.answers.current("head")[here - 1].mask, kept)


def test_a_second_tab_is_told_may_watch_and_may_take_over(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    address = serve(study_folder).address
    first = sit_down(address)
    second = sit_down(address, size=(1920, 1080))
    assert "annotated in another tab" in second.page.locator(".watchbar").inner_text()
    second.picture("second-tab")
    here = first.state("query")["slice"]
    second.press("n")
    second.stroke("follow_up", (0.45, 0.45), (0.55, 0.5))
    second.page.evaluate("trame.trigger('act', [trame.state.get('tab'), 'nothing_here'])")
    second.rest()
    assert first.state("query")["slice"] == here, "a tab that only watches must not change anything"
    with Study.open(study_folder, read_only=True) as study:
        assert not study.answers.current("head") and not study.drafts.all("head")
    first.stroke("follow_up", (0.45, 0.45), (0.55, 0.5))
    second.until("s('lesions').length === 1")
    before = second.state("look")["mm_per_pixel"]
    second.page.click(".watchbar button")
    second.until("s('active_tab') === s('tab')")
    second.until(f"s('look').mm_per_pixel !== {before}")  # its panes are larger
    first.until("s('active_tab') !== s('tab')")
    second.press("Control+Enter")
    second.until(f"s('query').slice !== {here}")
    first.page.close()
    assert second.complaints == []


def test_a_second_process_watches_and_may_take_the_study_over(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    first = sit_down(serve(study_folder).address)
    second = sit_down(serve(study_folder, reader="ben").address)
    assert "anna" in second.page.locator(".watchbar").inner_text()
    second.stroke("follow_up", (0.45, 0.45), (0.55, 0.5))
    assert second.state("lesions") == []
    first.stroke("follow_up", (0.45, 0.45), (0.55, 0.5))
    first.until("s('lesions').length === 1")
    second.page.click(".watchbar button")
    second.page.click("[role=alertdialog] button:has-text('Take over')")
    second.until("!s('banner').watching")
    first.until("!!s('banner').watching", 15)
    assert "taken over" in first.page.locator(".notices").inner_text()
    first.rest()
    first.picture("taken-over")
    first.press("Control+Enter")
    with Study.open(study_folder, read_only=True) as study:
        assert not study.answers.current("head")


def asked(address: str, path: str, **headers: str) -> tuple[int, str]:
    where = urlsplit(address)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read().decode("utf-8", errors="replace")
    connection.close()
    return answer.status, body


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


def test_without_the_token_there_is_no_page_no_socket_and_no_download(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader]
) -> None:
    server = serve(study_folder, "--token", "right-and-long-enough")
    address = server.address
    assert address.endswith("?token=right-and-long-enough")
    wrong = {"Cookie": f"lmial-{server.port}=wrong"}
    for path in ("/", "/index.html", "/?token=wrong", "/?once=", "/lmial/face.js", "/download/anything", "/ws"):
        for headers in ({}, wrong):
            status, body = asked(address, path, **headers, **(UPGRADE if path == "/ws" else {}))
            assert status == 403 and "head" not in body and len(body) < 120, path
    reader = sit_down(address)
    assert "token" not in reader.page.url
    assert reader.state("query")["slice"] > 0
    (cookie,) = reader.page.context.cookies()
    assert (
        cookie["httpOnly"] and cookie["sameSite"] == "Strict" and "lmial" not in reader.page.evaluate("document.cookie")
    )
    reader.page.reload()
    reader.until("s('active_tab') === s('tab')")
    second = sit_down(f"http://127.0.0.1:{server.port}/", context=reader.page.context)
    assert second.state("query")["slice"] > 0, "the cookie opens a second tab"


def test_other_pages_and_other_names_for_this_machine_are_refused(
    study_folder: Path, serve: Callable[..., Server]
) -> None:
    server = serve(study_folder)
    for address, known in (
        (server.address, {"Cookie": server.cookie}),
        (serve(study_folder, "--no-token").address, {}),
    ):
        assert asked(address, "/index.html", **known)[0] == 200
        assert asked(address, "/index.html", Host="evil.example", **known)[0] == 403
        assert asked(address, "/ws", Origin="http://evil.example", **UPGRADE, **known)[0] == 403


def test_no_part_of_an_address_is_taken_for_a_file_name(study_folder: Path, serve: Callable[..., Server]) -> None:
    server = serve(study_folder)
    for path in ("/download/..%2f..%2fstudy.sqlite", "/lmial/../../../study.sqlite", "/download/%2fetc%2fpasswd"):
        status, body = asked(server.address, path, Cookie=server.cookie)
        assert status in (403, 404) and "SQLite" not in body and "root:" not in body, path


def test_every_address_demands_a_token(study_folder: Path, serve: Callable[..., Server]) -> None:
    for options in (), ("--host", "0.0.0.0"):
        server = serve(study_folder, *options)
        assert len(server.token) >= 24
        assert asked(f"http://127.0.0.1:{server.port}/", "/index.html")[0] == 403


def test_what_cannot_be_served_is_one_sentence(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "LMIALLib", "annotate", str(tmp_path / "none"), "--no-open"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 3 and "is not a LMIAL study" in run.stderr and "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--token", "a b&c"), 2, "A token is made of"),
        (("--token", "short"), 2, "can be guessed"),
        (("--no-token", "--host", "0.0.0.0"), 2, "every machine that reaches 0.0.0.0"),
        (("--no-token", "--token", "long-enough-to-be-one"), 2, "exclude each other"),
        (("--port", "{taken}"), 4, "is in use by another program"),
    ],
)
def test_a_useless_token_and_a_taken_port_are_one_sentence(
    study_folder: Path, options: tuple[str, ...], code: int, words: str
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        given = [option.format(taken=other.getsockname()[1]) for option in options]
        command = [sys.executable, "-m", "LMIALLib", "annotate", str(study_folder), "--no-open", *given]
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == code and words in run.stderr and "Traceback" not in run.stderr and not run.stdout


def test_a_study_that_can_only_be_read_is_shown_and_says_so(
    study_folder: Path, serve: Callable[..., Server], sit_down: Callable[..., Reader], tmp_path: Path
) -> None:
    holder = Study.open(study_folder, reader="somebody")
    try:
        reader = sit_down(serve(study_folder).address)
        assert "somebody" in reader.page.locator(".watchbar").inner_text()
        reader.press("ArrowUp")
        reader.picture("watching")
        assert reader.state("look")["ready"] and not reader.state("look")["paintable"]
    finally:
        holder.close()
