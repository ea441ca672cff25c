"""Models and rankings come back as they were, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from LMIALLib.errors import BadInput
from LMIALLib.files import sha256_of
from LMIALLib.study import NewAnswer, StoredRanking, Study
from LMIALLib.study.checks import check_study


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    file = tmp_path / "weights.safetensors"
    file.write_bytes(bytes(range(256)))
    return file


def test_models_are_kept_and_one_is_in_use(study: Study, weights: Path) -> None:
    assert study.models.in_use() is None
    first = study.models.add(weights, id="m0", adopted=True)
    weights.write_bytes(b"other")
    refused = study.models.add(weights, id="m1", parent="m0", round=1, report={"reasons": ["fits worse"]})
    assert study.models.in_use() == first
    assert sha256_of(study.models.path("m0")) == first.digest != refused.digest
    assert (refused.parent, refused.round, refused.adopted) == ("m0", 1, False)
    assert refused.report == {"reasons": ["fits worse"]}
    assert study.models.adopt("m1").adopted
    assert study.models.adopt("m0").id == "m0"
    assert [m.id for m in study.models.all()] == ["m0", "m1"]
    in_use = study.models.in_use()
    assert in_use is not None
    assert in_use.id == "m0"
    assert [e.kind for e in study.log.events()][-2:] == ["model adopted", "model adopted"]


def test_a_model_already_in_its_place_is_taken_as_it_is(study: Study, weights: Path) -> None:
    place = study.models.path("m0")
    place.write_bytes(weights.read_bytes())
    assert study.models.add(place, id="m0").digest == sha256_of(weights)
    assert not check_study(study)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"id": "m0"}, "already"), ({"id": "../m"}, "model id"), ({"id": "m2", "parent": "gone"}, "no model 'gone'")],
)
def test_models_that_cannot_be_added_are_refused(study: Study, weights: Path, options: dict, says: str) -> None:
    study.models.add(weights, id="m0")
    with pytest.raises(BadInput, match=says):
        study.models.add(weights, **options)
    with pytest.raises(BadInput, match="does not exist"):
        study.models.add(weights.with_name("none"), id="m3")
    assert [p.name for p in (study.folder / "models").iterdir()] == ["m0.safetensors"]


def test_a_ranking_comes_back_bit_for_bit(study: Study) -> None:
    scores = np.array([0.1, np.nextafter(0.1, 1), -np.inf, np.nan, -0.0, 5e-324])
    saved = study.answers.save(NewAnswer("a", 0, "nothing", reader="r"))
    ranking = {"strategy": "entropy", "seed": 3, "queries": [{"score": float(np.nextafter(0.1, 1)), "slice": 4}]}
    new = StoredRanking(
        ranking, {"threads": 2, "pairs": {"a": {"number": 1}}}, {"a": scores}, study.answers.highest_id()
    )
    number = study.rankings.store(new)
    study.close()
    with Study.open(study.folder, read_only=True) as again:
        found = again.rankings.get(number)
        assert found.ranking == ranking
        assert found.conditions == new.conditions
        assert found.scores["a"].tobytes() == scores.tobytes()
        assert found.annotations_upto == saved.id
        assert (found.number, found.created[-1]) == (1, "Z")
        latest = again.rankings.latest()
        assert latest is not None
        assert latest.number == number
        assert len(again.rankings.all()) == 1
        with pytest.raises(BadInput, match="no ranking 7"):
            again.rankings.get(7)
        assert again.log.events()[-1].details == {"number": 1, "strategy": "entropy", "seed": 3}


def test_a_ranking_outlives_the_case_it_saw(study: Study) -> None:
    number = study.rankings.store(StoredRanking({}, {}, {"a": np.zeros(6)}, 0))
    study.answers.save(NewAnswer("a", 0, "nothing", reader="r", ranking=number, query_rank=1))
    study.cases.remove("a")
    assert list(study.rankings.get(number).scores) == ["a"]
    assert not check_study(study)
