"""One JSON object a line, floats whole, other protocols and garbage refused with a sentence."""

import math

import pytest

from LMIALLib.worker.messages import PROTOCOL, decode, encode, finite


def test_floats_come_back_with_every_bit() -> None:
    values = [0.1, 1 / 3, math.pi * 1e-300, -0.0, 5e-324]
    assert [v.hex() for v in decode(encode({"values": values}))["values"]] == [v.hex() for v in values]


def test_one_line_whatever_the_text() -> None:
    line = encode({"sentence": "Ärztin\nzweite Zeile"})
    assert line.count(b"\n") == 1 and decode(line)["sentence"] == "Ärztin\nzweite Zeile"


def test_a_number_that_json_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        encode({"value": math.nan})


@pytest.mark.parametrize("line", [b"hello\n", b"[1]\n", b'{"protocol": 99}\n', b"\xff\xfe\n"])
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=rf"JSON|object|protocol {PROTOCOL}"):
        decode(line)


def test_numbers_that_json_does_not_know_become_null() -> None:
    assert finite({"loss": [math.nan, 1.5, (math.inf,)], "text": "nan"}) == {"loss": [None, 1.5, [None]], "text": "nan"}
