"""Volumes of the scene as inputs of the worker: the DICOM series they came from, their file, or a file written here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from LMIALLib.errors import BadInput

BLOCK = 8 * 2**20
"""Bytes written at one step, so that no step is felt."""
_TYPES = {
    "int8": "int8", "uint8": "uint8", "int16": "int16", "uint16": "uint16", "int32": "int32", "uint32": "uint32",
    "int64": "int64", "uint64": "uint64", "float32": "float", "float64": "double",
}  # fmt: skip


def series_of(node: Any, database: Any) -> tuple[Path, str] | None:
    """Folder and UID of the DICOM series that a volume node was loaded from, where it is as it was loaded; else None.

    Args:
        node: vtkMRMLScalarVolumeNode.
        database: a ctkDICOMDatabase, or None.
    """
    instances = (node.GetAttribute("DICOM.instanceUIDs") or "").split()
    if not instances or database is None or _changed(node):
        return None
    folders = {str(Path(file).parent) for file in map(database.fileForInstance, instances) if file}
    if len(folders) != 1:
        return None
    uid = database.instanceValue(instances[0], "0020,000E")
    return (Path(folders.pop()), uid) if uid else None


def _changed(node: Any) -> bool:
    """Whether a volume node is not any more what was read: edited, or moved by a transform."""
    return node.GetParentTransformNode() is not None or bool(node.GetModifiedSinceRead())


def to_world(node: Any) -> np.ndarray:
    """Voxel (i, j, k) to RAS, (4, 4) in mm, with the linear transforms above the node. BadInput for any other."""
    import vtk
    from slicer.i18n import tr as _

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    parent = node.GetParentTransformNode()
    if parent is not None:
        if not parent.IsTransformToWorldLinear():
            raise BadInput(
                _("{volume} is bent by a transform that is not linear.").format(volume=node.GetName()),
                _("Take it out of that transform."),
            )
        above = vtk.vtkMatrix4x4()
        parent.GetMatrixTransformToWorld(above)
        vtk.vtkMatrix4x4.Multiply4x4(above, matrix, matrix)
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def write_in_steps(node: Any, path: Path) -> Iterator[bool]:
    """Write a volume node as plain NRRD, a block a step. BadInput for what is no scalar 3-D volume."""
    from slicer.i18n import tr as _
    from vtk.util.numpy_support import vtk_to_numpy

    image = node.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None:
        raise BadInput(_("{volume} holds no image.").format(volume=node.GetName()), _("Choose another volume."))
    if image.GetNumberOfScalarComponents() != 1:
        raise BadInput(
            _("{volume} is a colour or vector image.").format(volume=node.GetName()),
            _("Choose a volume of one value a voxel."),
        )
    values = vtk_to_numpy(image.GetPointData().GetScalars())
    if values.dtype.name not in _TYPES:
        raise BadInput(
            _("{volume} holds numbers of type {type}, which cannot be written.").format(
                volume=node.GetName(), type=values.dtype.name
            )
        )
    with open(path, "wb") as file:
        file.write(_header(values.dtype, image.GetDimensions(), to_world(node)))
        step = max(BLOCK // values.dtype.itemsize, 1)
        for start in range(0, values.size, step):
            file.write(values[start : start + step].tobytes())
            yield True


def _header(dtype: np.dtype[Any], size: tuple[int, int, int], world: np.ndarray) -> bytes:
    """NRRD header of an image with nothing but its geometry, in LPS."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ world
    vector = "({})".format
    directions = " ".join(vector(",".join(repr(float(value)) for value in lps[:3, axis])) for axis in range(3))
    origin = vector(",".join(repr(float(value)) for value in lps[:3, 3]))
    lines = [
        "NRRD0004",
        f"type: {_TYPES[dtype.name]}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {size[0]} {size[1]} {size[2]}",
        f"space directions: {directions}",
        "kinds: domain domain domain",
        "endian: little",
        "encoding: raw",
        f"space origin: {origin}",
    ]
    return ("\n".join(lines) + "\n\n").encode("ascii")


class Inputs:
    """The volumes of a pair as paths for a ``PairRequest``; ``steps`` writes those that lie nowhere else.

    Args:
        folder: an empty folder of ours for what has to be written.
        database: Slicer's ctkDICOMDatabase, or None.
    """

    def __init__(self, folder: Path, database: Any) -> None:
        self._folder, self._database = folder, database
        self._wanted: list[tuple[Any, Path]] = []
        self.series: list[str] = []

    def path_of(self, node: Any, name: str, *, series: bool = True) -> Path:
        """Where the worker will find a node's voxels; as a DICOM ``series`` it keeps its date and patient."""
        found = series_of(node, self._database) if series else None
        if found is not None:
            self.series.append(found[1])
            return found[0]
        path = self._folder / f"{name}.nrrd"
        self._wanted.append((node, path))
        return path

    def steps(self) -> Iterator[bool]:
        """Write what has to be written."""
        for node, path in self._wanted:
            yield from write_in_steps(node, path)
