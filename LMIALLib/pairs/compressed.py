"""Compressed data read block by block, so that no more than a block is ever held besides what is wanted."""

from __future__ import annotations

import bz2
import zlib
from typing import IO, cast

_GZIP = b"\x1f\x8b"
_ZLIB_OR_GZIP = 47
"""Value of zlib's ``wbits`` that detects zlib or gzip from the first bytes."""


def decompressed(file: IO[bytes], compression: str) -> IO[bytes]:
    """A stream of what an open file holds from its present place on; ``compression`` is "zlib" (or gzip) or "bzip2".

    Only ``read(size)`` is to be used, which may return less. It raises EOFError where the data end too early, and
    zlib.error or OSError where they are damaged. What stands behind the compressed data is not looked at.
    """
    if compression == "bzip2":
        return cast(IO[bytes], bz2.open(file, "rb"))
    return cast(IO[bytes], _ZlibStream(file))


class _ZlibStream:
    """Reads zlib, or one or several gzip members, block by block; checksums are compared at each end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._inflate = zlib.decompressobj(_ZLIB_OR_GZIP)
        start = file.tell()
        self._members = file.read(2) == _GZIP
        file.seek(start)

    def read(self, size: int) -> bytes:
        while True:
            if self._inflate.eof:
                rest = self._inflate.unused_data
                rest += self._file.read(2 - len(rest)) if len(rest) < 2 else b""
                if not self._members or not rest.startswith(_GZIP):
                    return b""
                self._inflate = zlib.decompressobj(_ZLIB_OR_GZIP)
                data = rest
            else:
                data = self._inflate.unconsumed_tail or self._file.read(1 << 16)
                if not data:
                    raise EOFError
            block = self._inflate.decompress(data, size)
            if block:
                return block
