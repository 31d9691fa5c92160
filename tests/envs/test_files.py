"""Files: written whole or not at all, refused when damaged, and never able to run code."""

import json
import stat
import tracemalloc
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest

from kofn.envs.files import (
    FORMAT_VERSION,
    check_header,
    naming_damage,
    read_json,
    read_npz,
    write_atomically,
    write_json,
    write_npz,
    write_text,
)


def test_npz_round_trip_is_bit_equal(tmp_path: Path) -> None:
    arrays = {
        "thirds": np.array([1 / 3, -0.0, 5e-324]),
        "table": np.arange(6).reshape(2, 3),
        "empty": np.zeros((0, 2)),
        "name": np.array("Zürich"),
    }
    write_npz(tmp_path / "file.npz", "Thing", **arrays)
    found = read_npz(tmp_path / "file.npz", "Thing")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()


def test_json_round_trip_keeps_floats(tmp_path: Path) -> None:
    content = {"b": [1 / 3, 5e-324, 1e308], "a": "Zürich", "n": 10**20}
    write_json(tmp_path / "file.json", content)
    assert read_json(tmp_path / "file.json") == content
    assert list(read_json(tmp_path / "file.json")) == ["b", "a", "n"]


def test_json_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "file.json", float("nan"))
    assert not list(tmp_path.iterdir())


def test_folders_are_made_and_files_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    write_text(path, "old")
    write_text(path, "new ü\n")
    assert path.read_bytes() == "new ü\n".encode()
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "file"
    write_text(path, "old")

    def fail(file: IO[bytes]) -> None:
        file.write(b"half of the n")
        raise error

    with pytest.raises(error):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_files_are_as_readable_as_the_umask_allows(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    write_text(tmp_path / "ours", "")
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


class Evil:
    """Unpickling it writes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


def test_pickles_are_refused_without_being_opened(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    evil = np.array([Evil(marker)], dtype=object)
    np.savez(tmp_path / "evil.npz", kind=np.str_("Thing"), format_version=np.int64(1), table=evil)
    with pytest.raises(ValueError, match=r"evil\.npz is damaged or not a \.npz file \(Object arrays cannot be loaded"):
        read_npz(tmp_path / "evil.npz", "Thing")
    evil.dump(tmp_path / "bare.npz")
    with pytest.raises(ValueError, match=r"bare\.npz is damaged or not a \.npz file \(File is not a zip"):
        read_npz(tmp_path / "bare.npz", "Thing")
    assert not marker.exists()
    np.load(tmp_path / "evil.npz", allow_pickle=True)["table"]
    assert marker.exists(), "the trap does not work, so nothing was tested"


def test_a_missing_file_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        read_npz(tmp_path / "none.npz", "Thing")
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        read_json(tmp_path / "none.json")
    with pytest.raises(IsADirectoryError):
        read_npz(tmp_path, "Thing")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not an archive", bytes(1000)])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"file\.npz is damaged or not a \.npz file .*; restore it from a copy$"):
        read_npz(tmp_path / "file.npz", "Thing")


def test_a_lone_array_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "file.npz").open("wb") as file:
        np.save(file, np.eye(2))
    with pytest.raises(ValueError, match=r"file\.npz is damaged or not a \.npz file"):
        read_npz(tmp_path / "file.npz", "Thing")


def with_header(header: str, data: bytes = bytes(16)) -> bytes:
    """An array file with a header of one's own, as `numpy.save` lays it out."""
    text = header.encode("latin1")
    text += b" " * (-(10 + len(text) + 1) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}", "claims 8000000000000 bytes"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000000)}", "claims 8000000000000000 "),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (3,)}", "claims 24 bytes and holds 16"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}", "claims 8 bytes and holds 16"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (-2, -1)}", r"shape \(-2, -1\) is negative"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (2,)}", "Object arrays cannot be loaded"),
        ("{'descr': '<f8', 'shape': (2,)}", "Header does not contain the correct keys"),
    ],
)
def test_no_memory_is_taken_on_a_headers_word(tmp_path: Path, header: str, message: str) -> None:
    path = tmp_path / "file.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("table.npy", with_header(header))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message):
            read_npz(path, "Thing")
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_a_compressed_archive_is_not_unpacked(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "bomb.npz", table=np.zeros(10**6))
    with pytest.raises(ValueError, match=r"bomb\.npz is damaged or not a \.npz file \(table\.npy is compressed\)"):
        read_npz(tmp_path / "bomb.npz", "Thing")


def test_json_of_any_depth_and_length_is_refused_by_name(tmp_path: Path) -> None:
    for content in ("[" * 10**5, "9" * 10**5, '{"a":' * 10**4):
        (tmp_path / "file.json").write_text(content)
        with pytest.raises(ValueError, match=r"file\.json is not a JSON file"):
            read_json(tmp_path / "file.json")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"{'a': 1}"])
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"file\.json is not a JSON file \(.*\); delete it or restore it from a copy$"):
        read_json(tmp_path / "file.json")


def test_a_damaged_archive_is_refused_or_read_rightly(tmp_path: Path) -> None:
    """Every third byte is changed, many lengths are cut off: no other error, no wrong value, no file left open."""
    array = np.arange(3) / 3
    path = tmp_path / "file.npz"
    write_npz(path, "Thing", array=array)
    whole = path.read_bytes()
    changed = [whole[:i] + bytes([whole[i] ^ 0xFF]) + whole[i + 1 :] for i in range(0, len(whole), 3)]
    cut = [whole[:i] for i in range(0, len(whole), 7)]
    refused = 0
    for content in changed + cut:
        path.write_bytes(content)
        try:
            found = read_npz(path, "Thing")
        except ValueError:
            refused += 1
        else:
            # A damaged directory may lose an entry; whoever looks for it then says so.
            assert [found[name].tobytes() for name in found] in ([array.tobytes()], [])
    assert refused >= len(cut) + array.nbytes // 3


@pytest.mark.parametrize(
    ("kind", "version", "message"),
    [
        (None, 1, "f must hold a Thing; it holds something else"),
        ("Other", 1, "f must hold a Thing; it holds Other"),
        ("Thing", FORMAT_VERSION + 1, "f has format version 2; this kofn reads up to 1: upgrade it"),
        ("Thing", np.array(FORMAT_VERSION + 1), "f has format version 2; this kofn reads"),
        ("Thing", None, "f has format version None; this kofn reads"),
        ("Thing", "1", "f has format version 1; this kofn reads"),
        ("Thing", [1], r"f has format version \[1\]; this kofn reads"),
        ("Thing", 0, "f has format version 0; this kofn reads"),
        ("Thing", 1.0, "f has format version 1.0; this kofn reads"),
    ],
)
def test_foreign_kinds_and_unknown_formats_are_refused(kind: Any, version: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        check_header("f", "Thing", kind, version)


def test_the_right_kind_and_format_pass(tmp_path: Path) -> None:
    check_header("f", "Thing", np.array("Thing"), np.array(FORMAT_VERSION))
    check_header("f", "Thing", "Thing", FORMAT_VERSION)
    write_npz(tmp_path / "file.npz", "Other")
    with pytest.raises(ValueError, match=r"file\.npz must hold a Thing; it holds Other$"):
        read_npz(tmp_path / "file.npz", "Thing")
    np.savez(tmp_path / "bare.npz", table=np.eye(2))
    with pytest.raises(ValueError, match=r"bare\.npz must hold a Thing; it holds something else$"):
        read_npz(tmp_path / "bare.npz", "Thing")


def test_refused_content_names_the_file() -> None:
    data = json.loads('{"a": 1}')
    with pytest.raises(ValueError, match=r"^f has no entry 'b'; it is damaged$"), naming_damage("f"):
        data["b"]
    for error in (ValueError, TypeError):
        with pytest.raises(ValueError, match=r"^f is damaged: why$"), naming_damage("f"):
            raise error("why")
