"""One JSON object a line, floats whole, other protocols and garbage refused with a sentence."""

import math
import os

import pytest

from LMIALLib.errors import BadInput
from LMIALLib.worker.client import WorkerClient
from LMIALLib.worker.messages import PROTOCOL, decode, encode, finite
from LMIALLib.worker.requests import Export
from LMIALLib.worker.transport import Transport


def test_floats_come_back_with_every_bit() -> None:
    values = [0.1, 1 / 3, math.pi * 1e-300, -0.0, 5e-324]
    assert [v.hex() for v in decode(encode({"values": values}))["values"]] == [v.hex() for v in values]


def test_one_line_whatever_the_text() -> None:
    line = encode({"sentence": "Ärztin\nzweite Zeile"})
    assert line.count(b"\n") == 1 and decode(line)["sentence"] == "Ärztin\nzweite Zeile"


def test_a_number_that_json_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        encode({"value": math.nan})


def test_a_name_that_is_no_utf_8_is_refused_before_a_worker_starts(tmp_path) -> None:
    """A folder named with other bytes ended ``lmial import`` on an unforeseen error."""

    def never() -> Transport:
        raise AssertionError("a worker was started")

    name = os.fsdecode(b"/data/sub-\xff/scan.nii.gz")
    with pytest.raises(BadInput, match="not written in UTF-8"):
        WorkerClient(tmp_path, transport=never).submit(Export(out=name))


def test_what_a_worker_says_of_such_a_name_can_be_sent() -> None:
    told = {"sentence": os.fsdecode(b"its file b\xff.dcm cannot be read"), "lines": [os.fsdecode(b"\xfe")]}
    assert decode(encode(finite(told)))["sentence"] == "its file b\\xff.dcm cannot be read"


@pytest.mark.parametrize("line", [b"hello\n", b"[1]\n", b'{"protocol": 99}\n', b"\xff\xfe\n"])
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=rf"JSON|object|protocol {PROTOCOL}"):
        decode(line)


def test_numbers_that_json_does_not_know_become_null() -> None:
    assert finite({"loss": [math.nan, 1.5, (math.inf,)], "text": "nan"}) == {"loss": [None, 1.5, [None]], "text": "nan"}
