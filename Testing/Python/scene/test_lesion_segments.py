"""Exported lesions as 3D Slicer itself reads them: one segment each, however many."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from LMIALLib.pairs.geometry import Grid
from LMIALLib.study.segmentation_file import Segment, write_segmentation
from Testing.Python.scene.mrml_scene import Place


def test_slicer_reads_three_hundred_segments_each_with_its_own_voxels(
    place: Place, oblique: Grid, tmp_path: Path
) -> None:
    import slicer
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    volume = np.zeros(oblique.shape, np.int32)
    where = np.argwhere(np.ones(oblique.shape))[:: volume.size // 300][:300]
    volume[tuple(where.T)] = np.arange(1, 301)
    segments = [Segment(f"lesion-{n}", f"lesion {n} (new)", (1.0, 0.0, 0.0), 0, n) for n in range(1, 301)]
    segments.append(Segment("reviewed", "reviewed", (0.5, 0.5, 0.5), 1, 1))
    path = tmp_path / "lesions.seg.nrrd"
    write_segmentation(path, [volume, volume > 0], oblique, segments, {})
    node = place.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = place.scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    read = node.GetSegmentation()
    assert read.GetNumberOfSegments() == 301 and read.GetNumberOfLayers() == 2
    for number in (1, 255, 256, 300):
        segment = read.GetSegment(f"lesion-{number}")
        assert segment.GetName() == f"lesion {number} (new)"
        image = slicer.vtkOrientedImageData()
        node.GetBinaryLabelmapRepresentation(f"lesion-{number}", image)
        voxels = np.argwhere(vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1]))
        assert len(voxels) == 1
        first = image.GetExtent()[::2]
        matrix = vtk.vtkMatrix4x4()
        image.GetImageToWorldMatrix(matrix)
        i, j, k = (float(one + start) for one, start in zip(voxels[0][::-1], first, strict=True))
        ras = matrix.MultiplyPoint((i, j, k, 1.0))[:3]
        lps = (oblique.index_to_point() @ [*where[number - 1][::-1], 1.0])[:3]
        assert np.allclose(ras, lps * (-1, -1, 1), atol=1e-3)
