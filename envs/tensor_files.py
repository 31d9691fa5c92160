"""Named arrays with sizes beside them, as .safetensors or .npz: formats that cannot hold code.

The first is what other programs read networks from; it needs the library of that name (extra `deep`). Both carry the
kind of what they hold and the format version, are written atomically, and the same arrays give the same bytes.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from kofn.envs.arrays import one_of
from kofn.envs.files import FORMAT_VERSION, check_header, naming_damage, read_npz, write_atomically, write_npz

SUFFIXES = (".safetensors", ".npz")

Tensors = dict[str, npt.NDArray[Any]]
_HEADER = "kofn"
"""The one entry of a .safetensors file's metadata that is ours, as JSON."""


def write_tensors(path: str | Path, kind: str, tensors: Mapping[str, npt.NDArray[Any]], sizes: dict[str, int]) -> None:
    """Write arrays and sizes; ValueError for another suffix."""
    if one_of("the suffix of a network's file", Path(path).suffix, SUFFIXES) == ".npz":
        numbers = {f"size:{name}": np.int64(size) for name, size in sizes.items()}
        write_npz(path, kind, **{f"tensor:{name}": array for name, array in tensors.items()}, **numbers)
        return
    from safetensors.numpy import save  # noqa: PLC0415  # an optional library

    header = json.dumps({"kind": kind, "format_version": FORMAT_VERSION, **sizes}, sort_keys=True)
    content = save({name: np.ascontiguousarray(array) for name, array in tensors.items()}, {_HEADER: header})

    def write(file: IO[bytes]) -> None:
        file.write(content)

    write_atomically(path, write)


def read_tensors(path: str | Path, kind: str) -> tuple[Tensors, dict[str, int]]:
    """Arrays and sizes of a file written by `write_tensors`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, of another kind or format, or has another suffix.
    """
    if one_of("the suffix of a network's file", Path(path).suffix, SUFFIXES) == ".npz":
        data = read_npz(path, kind)
        with naming_damage(path):
            sizes = {name.removeprefix("size:"): int(data[name]) for name in data if name.startswith("size:")}
        return {n.removeprefix("tensor:"): data[n] for n in data if n.startswith("tensor:")}, sizes
    tensors, header = _read_safetensors(Path(path))
    check_header(path, kind, header.pop("kind", None), header.pop("format_version", None))
    return tensors, header


def _read_safetensors(path: Path) -> tuple[Tensors, dict[str, Any]]:
    from safetensors import safe_open  # noqa: PLC0415  # an optional library

    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {}).get(_HEADER, "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, dict(header)  # noqa: SIM118  # no mapping
    except Exception as error:  # damaged bytes make it raise kinds of its own
        raise ValueError(f"{path} is damaged or not a .safetensors file ({error}); restore it from a copy") from None
