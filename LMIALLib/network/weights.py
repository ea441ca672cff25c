"""The weights file: safetensors with architecture, provenance and digest in its header; nothing can be executed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from LMIALLib.errors import BadInput
from LMIALLib.files import written_whole
from LMIALLib.json_data import parse_json, shaped

if TYPE_CHECKING:
    from LMIALLib.network.architecture import Architecture, ChangeNetwork

FORMAT = "lmial-weights-1"
LARGEST_HEADER = 1 << 20
HINT = "Choose a weights file written by LMIAL (.safetensors), or leave the option out to use the bundled one."


@dataclass(frozen=True)
class _Provenance:
    """The part of a provenance that decisions rest on, where it is there."""

    excluded: tuple[str, ...] = ()
    backgrounds: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()
    config: dict[str, Any] | None = None


@dataclass(frozen=True)
class Header:
    """The header of a weights file of any family.

    Args:
        architecture: JSON-ready, as its family understands it.
        provenance, digest: as in `WeightsInfo`.
    """

    architecture: dict[str, Any]
    provenance: dict[str, Any]
    digest: str

    @property
    def family(self) -> str:
        """Name of the family of networks, an empty string where none is named."""
        return str(self.architecture.get("family", ""))


@dataclass(frozen=True)
class WeightsInfo:
    """What the header of a weights file says.

    Args:
        architecture: the network that the tensors belong to.
        provenance: how they came to be: command, seed, data with citations, what was excluded (JSON-ready).
        digest: SHA-256 over names, types, shapes and bytes of the tensors.
    """

    architecture: Architecture
    provenance: dict[str, Any]
    digest: str


def tensors_digest(tensors: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names (sorted), types, shapes and little-endian bytes of arrays."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def network_arrays(network: ChangeNetwork, dtype: str = "float16") -> dict[str, np.ndarray]:
    """All parameters and running statistics as arrays; counters of seen batches are left out.

    The arrays are contiguous: safetensors writes the bytes in memory order, which is not the index order of
    channels-last.
    """
    return {
        name: np.ascontiguousarray(value.detach().cpu().float().numpy(), dtype=dtype)
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def save_weights(network: ChangeNetwork, path: Path, provenance: Mapping[str, Any], dtype: str = "float16") -> str:
    """Write a network whole or not at all, and return its digest.

    Raises ValueError when a parameter is not finite (after rounding to ``dtype``), OSError when the disk refuses.
    """
    return save_arrays(network_arrays(network, dtype), network.architecture.to_dict(), path, provenance)


def save_arrays(
    arrays: Mapping[str, np.ndarray], architecture: Mapping[str, Any], path: Path, provenance: Mapping[str, Any]
) -> str:
    """Write a weights file of any family whole or not at all, and return its digest.

    Args:
        arrays: contiguous, of floating numbers, by name.
        architecture: JSON-ready; ``family`` names the family of networks.
        path: of the file.
        provenance: how they came to be, JSON-ready.

    Raises ValueError when a value is not finite, OSError when the disk refuses.
    """
    from safetensors.numpy import save_file

    broken = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    if broken:
        raise ValueError(f"parameter {broken[0]} holds a value that is not finite; such a network is not saved")
    digest = tensors_digest(arrays)
    metadata = {
        "format": FORMAT,
        "architecture": json.dumps(dict(architecture)),
        "provenance": json.dumps(dict(provenance)),
        "digest": digest,
    }
    with written_whole(Path(path)) as temporary:
        save_file(dict(arrays), temporary, metadata=metadata)
    return digest


def load_weights(path: Path) -> tuple[ChangeNetwork, WeightsInfo]:
    """A network in evaluation mode on the CPU (float32), and what its file says of it.

    Raises BadInput when the file is missing, truncated, a pickle or anything else that is not a weights file of
    LMIAL, was written for another architecture, holds values that are not finite, or does not match its own digest.
    """
    import torch

    from LMIALLib.network.architecture import ChangeNetwork

    arrays, info = read_weights(path)
    with torch.device("meta"):  # shapes alone: a header could name a network that no memory holds
        network = ChangeNetwork(info.architecture)
    wanted = {n: tuple(v.shape) for n, v in network.state_dict().items() if not n.endswith("num_batches_tracked")}
    found = {name: array.shape for name, array in arrays.items()}
    if wanted != found:
        odd = sorted(set(wanted.items()) ^ set(found.items()))[0]
        raise BadInput(
            f"The weights file {path} does not fit the architecture that its header names: tensor {odd[0]} differs.",
            HINT,
        )
    network = ChangeNetwork(info.architecture)
    values = {name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()}
    network.load_state_dict(values, strict=False)
    return network.eval(), info


def read_weights(path: Path) -> tuple[dict[str, np.ndarray], WeightsInfo]:
    """Tensors and header of a weights file, checked, without torch. Raises BadInput as ``load_weights`` does."""
    info = _info_of(Path(path), read_header(path))
    return read_arrays(path)[0], info


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], Header]:
    """Tensors and header of a weights file of any family, checked, without torch.

    Raises BadInput when the file is missing, truncated, a pickle or anything else that is not a weights file of LMIAL,
    holds values that are not finite, or does not match its own digest.
    """
    path = Path(path)
    header = read_header(path)
    with _opened(path) as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if tensors_digest(arrays) != header.digest:
        raise BadInput(f"The weights file {path} was altered or damaged: its tensors do not match their digest.", HINT)
    if not all(np.issubdtype(a.dtype, np.floating) and np.isfinite(a).all() for a in arrays.values()):
        raise BadInput(f"The weights file {path} holds values that are not finite numbers.", HINT)
    return arrays, header


def read_header(path: Path) -> Header:
    """What the header of a weights file of any family says. Raises BadInput where it is none."""
    path = Path(path)
    check_container(path)
    with _opened(path) as file:
        return _header_of(path, file.metadata() or {})


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A safetensors file; what is wrong with it is BadInput."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except BadInput:
        raise
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError, OSError) as problem:
        raise BadInput(f"The weights file {path} is damaged: {problem}.", HINT) from problem


def check_container(path: Path) -> None:
    """Raise BadInput unless the file exists and its first bytes are those of a whole safetensors file."""
    if not path.is_file():
        raise BadInput(f"The weights file {path} does not exist.", HINT)
    size = path.stat().st_size
    with open(path, "rb") as stream:
        start = stream.read(9)
    # a safetensors file may begin with the same byte, as part of the length of its header, but then goes on with "{"
    if start[8:9] != b"{" and (start[:1] == b"\x80" or start[:4] == b"PK\x03\x04"):
        raise BadInput(
            f"{path} is a pickle or torch archive; LMIAL never opens those, because they can run code.", HINT
        )
    if len(start) < 9:
        raise BadInput(f"The weights file {path} is truncated: it holds {size} bytes.", HINT)
    header = int.from_bytes(start[:8], "little")
    if start[8:9] != b"{" or header > LARGEST_HEADER:
        raise BadInput(f"{path} is not a safetensors file.", HINT)
    if size < 8 + header:
        raise BadInput(
            f"The weights file {path} is truncated: its header alone needs {8 + header} bytes of {size}.", HINT
        )


def header_info(path: Path, metadata: Mapping[str, str]) -> WeightsInfo:
    """Architecture, provenance and digest from the header. Raises BadInput when it is not one of ours."""
    return _info_of(path, _header_of(path, metadata))


def _header_of(path: Path, metadata: Mapping[str, str]) -> Header:
    if metadata.get("format") != FORMAT:
        raise BadInput(f"{path} is a safetensors file, but its header does not say {FORMAT!r}.", HINT)
    where = f"The weights file {path}"
    try:
        architecture = parse_json(metadata["architecture"], dict[str, Any], f"{where}: its architecture")
        provenance = parse_json(metadata["provenance"], dict[str, Any], f"{where}: its provenance")
        shaped(provenance, _Provenance, f"{where}: its provenance")
        return Header(architecture, provenance, metadata["digest"])
    except BadInput as problem:
        raise BadInput(problem.sentence, HINT) from problem
    except KeyError as problem:
        raise BadInput(f"The weights file {path} was made for another architecture: {problem}.", HINT) from problem


def _info_of(path: Path, header: Header) -> WeightsInfo:
    from LMIALLib.network.architecture import Architecture

    try:
        architecture = Architecture.from_dict(header.architecture, f"The weights file {path}: its architecture")
    except BadInput as problem:
        raise BadInput(problem.sentence, HINT) from problem
    except (KeyError, ValueError, TypeError) as problem:
        raise BadInput(f"The weights file {path} was made for another architecture: {problem}.", HINT) from problem
    return WeightsInfo(architecture, header.provenance, header.digest)
