"""A study is a folder with shelves: each kind of thing in one class, in the file of its name, without a tower below."""

from __future__ import annotations

import inspect

import pytest

from LMIALLib.study import Study

SHELVES = [
    "answers", "cases", "drafts", "lesion_answers", "lesions", "log", "maps", "models", "patients", "rankings",
    "sweeps", "truths",
]  # fmt: skip


@pytest.mark.parametrize("name", SHELVES)
def test_a_shelf_is_a_class_of_its_own_in_the_file_of_its_name(study: Study, name: str) -> None:
    shelf = type(getattr(study, name))
    assert shelf.__bases__ == (object,)
    assert (shelf.__module__, shelf.__name__.lower()) == (f"LMIALLib.study.{name}", name.replace("_", ""))
    assert f"``study.{name}``" in (shelf.__doc__ or "")
    assert all(inspect.getdoc(one) for _, one in public(shelf))


def test_a_study_has_no_base_class_and_few_words_of_its_own(study: Study) -> None:
    assert Study.__bases__ == (object,)
    assert sorted(name for name in vars(study) if name != "database") == SHELVES
    assert len(public(Study)) <= 12


def public(kind: type) -> list[tuple[str, object]]:
    """Methods and properties of a class that do not start with an underscore."""
    return [(name, one) for name, one in inspect.getmembers(kind) if not name.startswith("_")]
