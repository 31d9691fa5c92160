"""Reading and writing of array files: .npz and .json, never pickle, written atomically.

Every file carries its kind and the format version, so that a file of another kind is refused with a clear message.
Nothing is allocated on a file's word: an array's size must be that of the bytes which are there.
"""

import json
import math
import operator
import os
import re
import secrets
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import one_of

FORMAT_VERSION = 1


_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")


def plain_name(what: str, name: Any) -> str:
    """`name`, checked to name a file of its own folder wherever a name becomes part of a path.

    Raises:
        ValueError: it is empty, begins with "." or "-", or holds anything but letters, digits, "_", "-" and ".".
    """
    if not isinstance(name, str) or not _PLAIN.fullmatch(name):
        raise ValueError(
            f"{what} must be a plain file name (letters, digits, '_', '-', '.', the last two not first; at most 200); "
            f"got {name!r}"
        )
    return name


def write_atomically(path: str | Path, write: Callable[[IO[bytes]], None]) -> None:
    """Call `write` on a temporary file beside `path`, then rename it into place: `path` is never half-written."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile's: those are readable by their owner only, whatever the umask.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    write_atomically(path, lambda file: _discard(file.write(text.encode())))


def write_json(path: str | Path, content: Any) -> None:
    """Write a JSON file atomically (indented, keys in the order given; floats round-trip exactly)."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # also numbers of 5000 digits, 1000 brackets
        raise ValueError(f"{path} is not a JSON file ({error}); delete it or restore it from a copy") from None


def write_npz(path: str | Path, kind: str, /, **arrays: npt.NDArray[Any] | np.generic) -> None:
    """Write named arrays, with their kind and the format version, atomically."""
    header = {"kind": np.str_(kind), "format_version": np.int64(FORMAT_VERSION)}
    write_atomically(path, lambda file: np.savez(file, **header, **arrays))  # type: ignore[arg-type]  # numpy's stub takes allow_pickle for one of the arrays


def read_npz(path: str | Path, kind: str) -> dict[str, npt.NDArray[Any]]:
    """Arrays of a file written by `write_npz`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, of another kind, or of a newer format.
    """
    with Path(path).open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                data = {info.filename.removesuffix(".npy"): _read_array(archive, info) for info in archive.infolist()}
        except Exception as error:  # damaged bytes make zipfile, zlib and numpy raise a dozen kinds
            raise ValueError(f"{path} is damaged or not a .npz file ({error}); restore it from a copy") from None
    check_header(path, kind, data.pop("kind", None), data.pop("format_version", None))
    return data


def _read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> npt.NDArray[Any]:
    """One array of an archive, read only if its header claims as many bytes as follow it.

    `write_npz` does not compress, so that a member is as large as its bytes in the file.
    """
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{info.filename} is compressed")
    with archive.open(info) as member:
        claimed = _claimed_bytes(member)
        if claimed != info.file_size - member.tell():
            raise ValueError(f"{info.filename} claims {claimed} bytes and holds {info.file_size - member.tell()}")
    with archive.open(info) as member:
        return np.asarray(np.lib.format.read_array(member, allow_pickle=False))


def _claimed_bytes(member: IO[bytes]) -> int:
    """Bytes of data that an array's header promises, the file being left at their beginning."""
    version = np.lib.format.read_magic(member)
    if version != (1, 0):  # later versions are for headers beyond 64 KiB and field names
        raise ValueError(f"arrays of .npy version {version} are not written here")
    shape, _, dtype = np.lib.format.read_array_header_1_0(member)
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded: they are pickles")
    if min(shape, default=0) < 0:
        raise ValueError(f"shape {shape} is negative")
    return math.prod(shape) * dtype.itemsize


def write_table(path: str | Path, kind: str, table: npt.NDArray[np.generic], sizes: dict[str, int]) -> None:
    """Write a table and its sizes to .npz or .json, by the suffix; raises ValueError for another suffix."""
    if _suffix(path) == ".npz":
        write_npz(path, kind, table=table, **{name: np.int64(size) for name, size in sizes.items()})
    else:
        write_json(path, {"kind": kind, "format_version": FORMAT_VERSION, **sizes, "table": table.tolist()})


def read_table(path: str | Path, kind: str) -> dict[str, Any]:
    """Entries of a file written by `write_table`, as they stand there.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is unreadable, of another kind, or has another suffix.
    """
    if _suffix(path) == ".npz":
        return read_npz(path, kind)
    content = read_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a {kind}; it holds a {type(content).__name__}")
    check_header(path, kind, content.get("kind"), content.get("format_version"))
    return content


def _suffix(path: str | Path) -> str:
    return one_of("the suffix of a table's file", Path(path).suffix, (".npz", ".json"))


def check_header(path: str | Path, kind: str, found_kind: Any, found_version: Any) -> None:
    """Raise ValueError unless the file's own kind and format version are the ones expected."""
    if found_kind is None or str(found_kind) != kind:
        raise ValueError(
            f"{path} must hold a {kind}; it holds {'something else' if found_kind is None else found_kind}"
        )
    try:
        readable = 1 <= operator.index(found_version) <= FORMAT_VERSION
    except TypeError:
        readable = False
    if not readable:
        raise ValueError(
            f"{path} has format version {found_version}; this kofn reads up to {FORMAT_VERSION}: upgrade it"
        )


@contextmanager
def naming_damage(path: str | Path) -> Iterator[None]:
    """Turn what a file's content is refused for into a ValueError that names the file."""
    try:
        yield
    except KeyError as error:
        raise ValueError(f"{path} has no entry {error}; it is damaged") from None
    except (IndexError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None


def _discard(_: object) -> None:
    """Turn an expression's value into None."""
