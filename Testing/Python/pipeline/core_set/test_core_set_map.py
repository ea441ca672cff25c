"""The plane that slices are shown in, and the pictures beside it."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image
from small_studies import head

from LMIALLib.pairs.geometry import Grid
from LMIALLib.pairs.pair import Pair
from LMIALLib.pipeline import map_2d
from LMIALLib.pipeline.map_2d import Embedded, coordinates
from LMIALLib.pipeline.thumbnails import HEIGHT, Thumbnails


def embedded(vectors: np.ndarray, case: str = "a") -> Embedded:
    return Embedded(case, case, np.arange(len(vectors)), vectors, frozenset())


@pytest.fixture(autouse=True)
def without_umap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map_2d, "umap_class", lambda: None)


def test_principal_components_keep_what_lies_in_a_plane_as_it_is() -> None:
    draw = np.random.default_rng(0)
    flat = draw.normal(size=(30, 2)) @ np.linalg.qr(draw.normal(size=(9, 2)))[0].T
    places, how = coordinates([embedded(flat[:10]), embedded(flat[10:], "b")], "euclidean", 0)
    between = np.linalg.norm(flat[:, None] - flat[None], axis=-1)
    np.testing.assert_allclose(np.linalg.norm(places[:, None] - places[None], axis=-1), between, atol=1e-9)
    assert "100 % of the variance" in how


def test_for_the_cosine_distance_the_length_of_a_vector_does_not_matter() -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 5))
    longer = vectors * np.linspace(1, 9, 20)[:, None]
    first, other = (coordinates([embedded(one)], "cosine", 0)[0] for one in (vectors, longer))
    np.testing.assert_allclose(first, other, atol=1e-9)


@pytest.mark.parametrize("vectors", [np.zeros((0, 4)), np.ones((1, 4)), np.ones((6, 4)), np.arange(6.0)[:, None]])
def test_few_or_equal_slices_have_a_place_as_well(vectors: np.ndarray) -> None:
    places, _ = coordinates([embedded(vectors)], "euclidean", 0)
    assert places.shape == (len(vectors), 2) and np.isfinite(places).all()


def test_umap_is_taken_where_it_is_installed_and_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    if map_2d.umap_class() is None:
        pytest.skip("umap-learn is not installed; the map is then of principal components")
    groups = np.repeat(np.eye(3), 20, axis=0) * 10 + np.random.default_rng(0).normal(size=(60, 3))
    first, again = (coordinates([embedded(groups)], "euclidean", 4) for _ in range(2))
    assert "UMAP" in first[1] and first[0].tobytes() == again[0].tobytes()


def decoded(address: str) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))))


def test_thumbnails_keep_proportions_and_tell_brighter_from_darker() -> None:
    pair = head(0)
    shown = Thumbnails(pair)
    grey, colour = decoded(shown.follow_up(5)), decoded(shown.difference(5))
    assert grey.shape[0] == HEIGHT == colour.shape[0] and colour.shape[2] == 3
    assert abs(grey.shape[1] / grey.shape[0] - 28 / 32) < 0.12
    brightest = np.unravel_index(np.argmax(colour[..., 0].astype(int) - colour[..., 2]), colour.shape[:2])
    assert colour[brightest][0] > 150 > colour[brightest][2], "the spot that brightened is orange"


def test_the_patients_right_is_on_the_left_of_a_thumbnail() -> None:
    mask = np.ones((3, 20, 20), bool)
    follow_up = np.zeros((3, 20, 20), np.float32)
    follow_up[:, :, :5] = 9.0  # low i: in LPS towards the patient's right
    grid = Grid((20, 20, 3), (1.0, 1.0, 4.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    picture = decoded(Thumbnails(Pair(np.zeros_like(follow_up), follow_up, mask, grid, 0)).follow_up(1))
    assert picture[:, 5].mean() > 200 > picture[:, -5].mean()
