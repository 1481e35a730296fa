"""Container metadata: where the file ends, how long each picture of a GIF is shown, and the checksum of files written here.

A file that is shorter than its container declares was cut off; bytes after the container's end are somebody else's (tags, padding, a stray
newline) and no damage.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_BOXES = {
    *(b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"moof", b"mfra", b"sidx", b"ssix", b"styp", b"emsg"),
    *(b"meta", b"uuid", b"udta", b"pdin", b"prft", b"pnot", b"PICT", b"junk"),
}
"""Top-level boxes of ISO 14496-12, MPEG-DASH (ISO 23009-1) and QuickTime."""
_FIRST_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp"}
_BLOCK_READ = 1 << 16
_CHECKSUM = b"sora-eval sha256 "
_CHECKSUM_BYTES = 2 + len(_CHECKSUM) + 32


@dataclass(frozen=True)
class End:
    """End of a container's content."""

    at: int
    """Offset in bytes."""
    declared: bool
    """Whether the container declares it; else `at` is the file's size."""


@dataclass(frozen=True)
class GifTimes:
    """Timing of a GIF's pictures."""

    delays_cs: tuple[int | None, ...]
    """In 1/100 s, one per picture, None where none is given."""
    whole: bool
    """Whether the file has its end mark."""


def declared_end(file: IO[bytes], size: int) -> End:
    """Return the declared end of the container's content; beyond `size`, the file was cut off."""
    file.seek(0)
    head = file.read(64)
    if head[:4] == b"RIFF":
        riff = int.from_bytes(head[4:8], "little")
        # A recorder that was killed leaves 0 or all ones; an odd size may or may not count its padding byte.
        return End(8 + riff - riff % 2, True) if 0 < riff < 0xFFFFFFFF else End(size, False)
    if head[:4] == b"GIF8":
        return End(size if gif_times(file).whole else size + 1, True)
    if head[:4] == b"\x1a\x45\xdf\xa3":
        body, length = _ebml_size(head, 4)
        body, length = _ebml_size(head, body + (length or 0) + 4)
        return End(size, False) if length is None else End(body + length, True)
    if head[4:8] in _FIRST_BOXES:
        return End(_last_box_end(file, size), True)
    return End(size, False)


def append_checksum(path: Path) -> None:
    """Add the SHA-256 of a Matroska file at its end, in an element that readers skip (Void, RFC 8794, section 11.3.2)."""
    with path.open("rb+") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
        file.seek(0, 2)
        file.write(bytes([0xEC, 0x80 | len(_CHECKSUM) + len(digest)]) + _CHECKSUM + digest)


def is_damaged(file: IO[bytes], size: int) -> bool:
    """Return whether a file ends with a checksum that is not its own; one without a checksum is not."""
    if size < _CHECKSUM_BYTES:
        return False
    file.seek(size - _CHECKSUM_BYTES)
    tail = file.read(_CHECKSUM_BYTES)
    if not tail[2:].startswith(_CHECKSUM):
        return False
    file.seek(0)
    total = hashlib.sha256()
    for at in range(0, size - _CHECKSUM_BYTES, _BLOCK_READ):
        total.update(file.read(min(_BLOCK_READ, size - _CHECKSUM_BYTES - at)))
    return total.digest() != tail[-32:]


def _ebml_size(head: bytes, at: int) -> tuple[int, int | None]:
    """Return where an EBML element's body starts and its length, None when unknown (RFC 8794, section 4)."""
    if at >= len(head) or head[at] == 0:
        return at, None
    width = 9 - head[at].bit_length()
    value = int.from_bytes(head[at : at + width], "big") & ((1 << 7 * width) - 1)
    return at + width, None if value == (1 << 7 * width) - 1 else value


def _last_box_end(file: IO[bytes], size: int) -> int:
    """Return the end of the last top-level box of an MP4 or MOV (ISO 14496-12, section 4.2)."""
    at, seen = 0, set[bytes]()
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # 0 means "to the end"; anything else isn't a box.
            return size
        # Behind the index and the pictures, what is no known box and reaches past the end is a tag and not a piece of the clip.
        if at + length > size and {b"moov", b"mdat"} <= seen and kind not in _BOXES:
            return at
        at += length
        seen.add(kind)
    if at < size:
        file.seek(at)
        # Of a fragmented file, the next fragment may begin here; its length begins with a zero, and zeros alone are padding.
        rest = file.read()
        begun = b"moof" in seen and b"mfra" not in seen and rest[0] == 0 and rest.strip(b"\0")
        whole = {b"moov", b"mdat"} <= seen and not begun
        return at if whole or not rest.strip(b"\0") else at + 8
    return at


def gif_times(file: IO[bytes]) -> GifTimes:
    """Walk through the blocks of a GIF; nothing is decoded (GIF89a specification, sections 17 to 27)."""
    delays: list[int | None] = []
    file.seek(0)
    reader = _Bytes(file)
    try:
        reader.take(10)
        _skip_colours(reader, reader.take(3)[0])
        delay: int | None = None
        while True:
            mark = reader.take(1)[0]
            if mark == 0x3B:
                return GifTimes(tuple(delays), True)
            if mark == 0x2C:
                _skip_colours(reader, reader.take(9)[8])
                reader.take(1)
                for _ in _sub_blocks(reader):
                    pass
                delays.append(delay)
                delay = None
            elif mark == 0x21:
                label = reader.take(1)[0]
                for block in _sub_blocks(reader):
                    if label == 0xF9 and len(block) == 4:
                        delay = int.from_bytes(block[1:3], "little")
            elif mark != 0:  # Some writers pad with zeros between blocks.
                return GifTimes(tuple(delays), False)
    except EOFError:
        return GifTimes(tuple(delays), False)


def _skip_colours(reader: _Bytes, flags: int) -> None:
    if flags & 0x80:
        reader.take(3 << (flags & 7) + 1)


def _sub_blocks(reader: _Bytes) -> Iterator[bytes]:
    while length := reader.take(1)[0]:
        yield reader.take(length)


class _Bytes:
    """Reads a file in pieces of any size; raises EOFError at its end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._data, self._at = file, b"", 0

    def take(self, n: int) -> bytes:
        while len(self._data) - self._at < n:
            more = self._file.read(_BLOCK_READ)
            if not more:
                raise EOFError
            self._data, self._at = self._data[self._at :] + more, 0
        taken = self._data[self._at : self._at + n]
        self._at += n
        return taken
