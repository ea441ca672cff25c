"""Names that are safe as files, and places that are safe for a study."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as some

from LMIALLib.errors import BadInput
from LMIALLib.study import places
from LMIALLib.study.names import checked_file_name, checked_person

MOUNTS = r"""
/dev/vda / ext4 rw,relatime 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
/dev/sdb1 /home/local ext4 rw 0 0
//nas/share /mnt/my\040nas cifs rw 0 0
me@host:/ /mnt/far fuse.sshfs rw 0 0
"""
MOUNTS_OF_A_MAC = "/dev/disk1s1 on / (apfs, local)\n//me@nas/share on /Volumes/share (smbfs, nodev, nosuid)\n"


@pytest.mark.parametrize("name", ["case-01", "P_003", "a", "1.2.3", "x" * 40])
def test_good_names_pass(name: str) -> None:
    assert checked_file_name(name, "case name") == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/b", "a\\b", "/etc", "C:x", ".hidden", "-rf", "a b", "a.", "con", "NUL.txt", "lpt1",
     "x" * 41, "a\0b", "a\nb", "ä", "a:b", "a*", "~"],
)  # fmt: skip
def test_names_that_leave_the_folder_or_do_not_travel_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match="case name"):
        checked_file_name(name, "case name")


@given(some.text(max_size=60))
def test_a_name_that_passes_stays_inside_the_folder(name: str) -> None:
    try:
        checked_file_name(name, "case name")
    except BadInput:
        return
    for path in (PurePosixPath("/study/cases"), PureWindowsPath("C:/study/cases")):
        assert (path / name).parent == path
        assert (path / name).name == name
    assert name.isascii()


@pytest.mark.parametrize("name", ["", " ", "=1+1", "-x", "a\nb", "x" * 61, "@x"])
def test_readers_that_would_harm_a_table_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match="reader"):
        checked_person(name, "reader")


def test_readers_keep_their_letters() -> None:
    assert checked_person(" Zoë Müller ", "reader") == "Zoë Müller"


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("/home/x/study", "nfs4"), ("/home/local/study", ""), ("/mnt/my nas/study", "cifs"), ("/mnt/far/s", "fuse.sshfs"),
     ("/data/study", "")],
)  # fmt: skip
def test_network_mounts_are_told_by_the_mount_table(folder: str, kind: str) -> None:
    warning = places.place_warning(Path(folder), mounts=MOUNTS)
    assert (kind in warning) if kind else not warning


def test_a_mac_names_its_mounts_in_another_way() -> None:
    assert "smbfs" in places.place_warning(Path("/Volumes/share/study"), mounts=MOUNTS_OF_A_MAC)
    assert not places.place_warning(Path("/Users/x/study"), mounts=MOUNTS_OF_A_MAC)


@pytest.mark.parametrize(
    "part", ["OneDrive", "OneDrive - Clinic", "Dropbox", "Dropbox (Lab)", "Google Drive", "iCloud Drive",
             "Mobile Documents", "CloudStorage", "Nextcloud"],
)  # fmt: skip
def test_synced_folders_are_told_by_their_name(part: str) -> None:
    assert part in places.place_warning(Path("/home/x") / part / "study", mounts="")
    assert places.synced_by(PureWindowsPath(f"C:/Users/x/{part}/study")) == part


@pytest.mark.parametrize("part", ["my onedrives", "dropboxes", "boxing", "drive"])
def test_other_folders_are_not_taken_for_synced(part: str) -> None:
    assert not places.place_warning(Path("/data") / part, mounts="")


def test_a_share_is_told_by_its_path() -> None:
    assert "network share" in places.place_warning(Path("//server/share/study"), mounts="")
