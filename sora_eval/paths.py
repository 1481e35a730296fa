"""Names of files and tables as people hand them in: found on disk, kept inside their folder, and shown in one line."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath

from sora_eval.errors import ManifestError

_FIRST = 5
_APPLE_DOUBLE = b"\x00\x05\x16\x07"
"""How the files begin in which macOS keeps metadata on other file systems (RFC 1740, appendix A)."""
_SPECIAL = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def shown(name: str, most: int = 200) -> str:
    r"""Return a name or text for a message: one line, `most` characters of it, what can't be printed as an escape.

    A byte that is not UTF-8, which Python keeps as a surrogate (PEP 383), is shown as in a shell.

    Example:
        >>> shown("caf\udce9\n.mp4")
        'caf\\xe9\\n.mp4'
    """
    cut = name if len(name) <= most else f"{name[:most]}..."
    return "".join(c if c.isprintable() else _escape(c) for c in cut)


def _escape(c: str) -> str:
    return f"\\x{ord(c) - 0xDC00:02x}" if "\udc80" <= c <= "\udcff" else c.encode("unicode_escape").decode()


def encodable(text: str) -> str:
    r"""Return a text with what is no Unicode in it, a name that is not UTF-8, as escapes such as \udce9: it can be written anywhere."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def listed(names: Sequence[str]) -> str:
    """Return names for a message: the first five, and how many more there are."""
    more = len(names) - _FIRST
    return ", ".join(map(shown, names[:_FIRST])) + (f" and {more} more" if more > 0 else "")


def same(name: str) -> str:
    """Return a name in the form in which two spellings of it are equal: macOS decomposes "é", other systems don't (UAX 15)."""
    return unicodedata.normalize("NFC", name)


def is_apple_double(path: Path) -> bool:
    """Return whether a file is macOS metadata of another file, as `._clip.mp4` beside `clip.mp4`."""
    if not path.name.startswith("._"):
        return False
    with path.open("rb") as file:
        return file.read(4) == _APPLE_DOUBLE


def special(path: Path) -> str:
    """Return what a path is that is neither file nor folder, "" when it is one of these.

    Raises:
        OSError: there is nothing.
    """
    mode = path.stat().st_mode
    return next((what for test, what in _SPECIAL if test(mode)), "")


def separator(header: Sequence[str]) -> str:
    """Return by what the columns of a table are separated when it isn't by commas, "" when nothing suggests that."""
    names = {";": "semicolons", "\t": "tabs", "|": "bars"}
    return next((name for c, name in names.items() if len(header) == 1 and c in header[0]), "")


@dataclass
class Finder:
    """Finds files by the relative paths that somebody wrote down."""

    folder: Path
    """Folder that the paths are relative to."""
    links: bool = False
    """Whether a symbolic link that leads out of the folder is followed."""
    _names: dict[Path, dict[str, list[str]]] = field(default_factory=dict, repr=False)

    def find(self, written: str) -> str:
        r"""Return a file's path relative to the folder, as it is on disk.

        The path as written comes first. A part that isn't there is matched by the only name that is the same after Unicode normalisation;
        a path that isn't there with `\` is tried with `/`.

        Raises:
            ManifestError: there is no such regular file, or it lies outside of the folder; the message is a clause about the path.
        """
        name = f"'{shown(written)}'"
        try:
            entry = self._look(written, name)
            # A path as Windows writes it; here a backslash may be part of a name, which comes first.
            if entry is None and "\\" in written:
                entry = self._look(written.replace("\\", "/"), name)
            if entry is None and PureWindowsPath(written).is_absolute():
                raise _absolute(name)
            if entry is None:
                tried = ", with backslashes read as separators too" if "\\" in written else ""
                raise ManifestError(f"no file {name}{tried}")
            self._check(entry, name)
        except OSError as err:
            raise ManifestError(f"the path {name} can't be used ({err.strerror or 'an unknown error'})") from err
        return entry

    def _look(self, written: str, name: str) -> str | None:
        if Path(written).is_absolute():
            raise _absolute(name)
        parts = [part for part in written.split("/") if part not in ("", ".")]
        if os.path.normpath(written).split("/")[0] == "..":
            raise ManifestError(f"the path {name} leads out of the folder")
        at = self.folder
        for i, part in enumerate(parts):
            if not os.path.lexists(at / part):
                alike = self._alike(at, part)
                if len(alike) > 1:
                    raise ManifestError(f"no file {name}; names that differ only in Unicode form: {listed(alike)}")
                if not alike:
                    return None
                parts[i] = alike[0]
            at /= parts[i]
            # Before what lies behind it is looked at: a manifest from elsewhere must not make us read, hash and show any file.
            if at.is_symlink():
                self._check_link(at, "/".join(parts[: i + 1]), ".." in parts)
        return "/".join(parts)

    def _check_link(self, link: Path, name: str, climbs: bool) -> None:
        to = f"'{shown(name)}' is a link to '{shown(os.readlink(link))}'"
        try:
            inside = link.resolve().is_relative_to(self.folder.resolve())
        except (OSError, RuntimeError) as err:
            raise ManifestError(f"{to}, which leads nowhere") from err
        if inside:
            return
        if climbs:
            raise ManifestError(f"{to}, outside of the folder; write the path without '..'")
        if not self.links:
            raise ManifestError(f"{to}, outside of the folder; set generator.links=true to follow it")

    def _check(self, found: str, name: str) -> None:
        path = self.folder / found
        if ".." in found.split("/") and not path.resolve().is_relative_to(self.folder.resolve()):
            raise ManifestError(f"the path {name} leads out of the folder")
        if not path.exists():
            raise ManifestError(f"the path {name} is a link to '{shown(os.readlink(path))}', which is not there")
        if path.is_dir():
            raise ManifestError(f"the path {name} is a folder, not a video file: make a video of an image sequence")
        # Opening a named pipe would wait for ever.
        if what := special(path):
            raise ManifestError(f"the path {name} is {what}, not a video file")
        if is_apple_double(path):
            raise ManifestError(f"{name} is metadata of macOS (AppleDouble), not a video; name the file without '._'")

    def _alike(self, folder: Path, part: str) -> list[str]:
        if folder not in self._names:
            names: dict[str, list[str]] = {}
            for name in sorted(os.listdir(folder)) if folder.is_dir() else ():
                names.setdefault(same(name), []).append(name)
            self._names[folder] = names
        return self._names[folder].get(same(part), [])


def _absolute(name: str) -> ManifestError:
    return ManifestError(f"the path {name} is absolute; it must be relative to the folder")
