"""Planes, places and linked views in physical space, also on oblique and anisotropic grids."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from LMIALLib.pairs.geometry import Grid
from LMIALLib.scene.navigation import Navigation
from LMIALLib.scene.plane import Plane, ijk_to_ras

STRAIGHT = Grid((20, 30, 10), (1.0, 1.0, 3.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))


@pytest.mark.parametrize(
    ("axis", "name", "letters", "right", "up"),
    [
        (0, "axial", ("R", "L", "A", "P"), (-1, 0, 0), (0, 1, 0)),
        (1, "coronal", ("R", "L", "S", "I"), (-1, 0, 0), (0, 0, 1)),
        (2, "sagittal", ("A", "P", "S", "I"), (0, -1, 0), (0, 0, 1)),
    ],
)
def test_slices_lie_in_radiological_convention(axis: int, name: str, letters: tuple, right: tuple, up: tuple) -> None:
    plane = Plane.of(STRAIGHT, axis)
    assert (plane.name, plane.letters) == (name, letters)
    assert np.allclose(plane.right, right) and np.allclose(plane.up, up)


def test_axes_stored_the_other_way_round_look_the_same() -> None:
    flipped = Grid((20, 30, 10), (1.0, 1.0, 3.0), (0.0, 0.0, 0.0), (-1, 0, 0, 0, -1, 0, 0, 0, 1))
    plane = Plane.of(flipped, 0)
    assert plane.letters == ("R", "L", "A", "P") and np.allclose(plane.right, (-1, 0, 0))


def test_letters_are_those_of_the_pictures(oblique: Grid) -> None:
    from LMIALLib.pairs.orientation import orientation

    for grid in (STRAIGHT, oblique):
        for axis in range(3):
            assert Plane.of(grid, axis).letters == orientation(grid, axis).letters


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_places_and_points_are_inverse_and_agree_with_the_grid(oblique: Grid, axis: int) -> None:
    plane = Plane.of(oblique, axis)
    point = plane.point(4, 7.25, 9.5)
    assert np.allclose(plane.place(point), (4, 7.25, 9.5))
    index = [0.0, 0.0, 0.0]  # k, j, i
    rows, columns = (other for other in range(3) if other != axis)
    index[axis], index[rows], index[columns] = 4, 7.25, 9.5
    assert np.allclose(point, (ijk_to_ras(oblique) @ [*index[::-1], 1.0])[:3])


def test_a_slice_view_goes_exactly_through_the_voxel_centres_of_its_slice(oblique: Grid, place: Any) -> None:
    navigation = Navigation.of(oblique, 0)
    navigation.go_to(5, (10, 11))
    navigation.apply(place.views)
    for node in place.views:
        matrix = np.array([[node.GetSliceToRAS().GetElement(r, c) for c in range(4)] for r in range(4)])
        for row, column in ((0, 0), (29, 0), (17, 23)):
            away = navigation.plane.point(5, row, column) - matrix[:3, 3]
            assert abs(away @ matrix[:3, 2]) < 1e-9


def test_all_views_show_the_same_place_whatever_their_size(oblique: Grid, place: Any) -> None:
    place.views[1].SetDimensions(300, 200, 1)
    navigation = Navigation.of(oblique, 0)
    navigation.zoom(0.4)
    navigation.apply(place.views)
    centres, scales = [], []
    for node in place.views:
        width, height = node.GetDimensions()[:2]
        matrix = node.GetXYToRAS()
        centres.append(matrix.MultiplyPoint((width / 2, height / 2, 0, 1))[:3])
        left, right = (np.array(matrix.MultiplyPoint((x, 0, 0, 1))[:3]) for x in (0, 1))
        scales.append(np.linalg.norm(right - left))
    assert np.allclose(centres, centres[0]) and np.allclose(scales, navigation.mm_per_pixel)


def test_a_place_in_a_view_is_the_point_that_mrml_gives_for_it(oblique: Grid, place: Any) -> None:
    navigation = Navigation.of(oblique, 0)
    navigation.apply(place.views)
    given = place.views[0].GetXYToRAS().MultiplyPoint((120, 333, 0, 1))[:3]
    assert np.allclose(navigation.point_at(120, 333, (400, 500)), given)


def test_scrolling_stays_inside_and_turning_keeps_the_crosshair(oblique: Grid) -> None:
    navigation = Navigation.of(oblique, 0)
    navigation.step(100)
    assert navigation.slice == oblique.shape[0] - 1
    cross = navigation.planes[0].point(3, 8, 9)
    for _ in range(3):
        navigation.turn(through=cross)
        assert np.linalg.norm(navigation.point - cross) < max(oblique.spacing)
    assert navigation.current == 0 and navigation.slice == 3


def test_zooming_keeps_what_is_under_the_pointer(oblique: Grid) -> None:
    navigation = Navigation.of(oblique, 0)
    size = (400, 500)
    before = navigation.point_at(50, 60, size)
    navigation.zoom(0.5, before)
    assert np.allclose(navigation.point_at(50, 60, size), before)


def test_fitting_shows_the_whole_region() -> None:
    region = np.zeros(STRAIGHT.shape, dtype=bool)
    region[2:8, 5:25, 4:16] = True
    navigation, size = Navigation.of(STRAIGHT, 0), (300, 600)
    navigation.fit(region, size)
    assert navigation.mm_per_pixel * 300 >= 11 and navigation.mm_per_pixel * 600 >= 19
    (first, last), (left, right) = navigation.inside(size)
    assert first <= 5 and last >= 25 and left <= 4 and right >= 16


def test_what_lies_inside_a_view_and_where_a_voxel_is() -> None:
    # 20 columns and 30 rows of 1 mm. At 0.1 mm a pixel 80 x 60 pixels show 8 x 6 mm. Around column 10, row 15
    # that is columns 6 to 14 and rows 12 to 18, of which the voxel centres at the very edge count: 6..14 and 12..18.
    navigation, size = Navigation.of(STRAIGHT, 0), (80, 60)
    navigation.go_to(4, (15, 10))
    navigation.mm_per_pixel = 0.1
    assert navigation.inside(size) == ((12, 19), (6, 15))
    assert navigation.pixel_of(15, 10, size) == pytest.approx((40, 30))
    x, y = navigation.pixel_of(13, 11, size)  # one column to the left-hand side's patient left, two rows to the front
    assert (x, y) == pytest.approx((50, 50))
    row, column = navigation.plane.place(navigation.point_at(x, y, size))[1:]
    assert (row, column) == pytest.approx((13, 11))
    navigation.go_to(4, (0, 0))  # the corner: half of the view looks past the grid
    assert navigation.inside(size) == ((0, 4), (0, 5))
    navigation.mm_per_pixel = 1.0  # one pixel a voxel is enough
    assert navigation.inside(size) == ((0, 30), (0, 20))
    navigation.mm_per_pixel = 1.01
    assert navigation.inside(size) == ((0, 0), (0, 0))
