"""Strategies that other packages bring: the README's own example, names that are ours, and packages that are broken."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from LMIALLib.cli.main import app
from LMIALLib.errors import WrongUse
from LMIALLib.queries.ranking import rank, score_case
from LMIALLib.queries.strategies import DEFAULT_STRATEGY, STRATEGIES, known_strategies, strategy

README = Path(__file__).resolve().parents[3] / "README.md"
GOOD = (
    "from dataclasses import replace\nfrom LMIALLib.queries.strategies import STRATEGIES\n"
    "def make():\n    return replace(STRATEGIES['entropy'], name={name!r})\n"
)


def test_the_package_of_the_readme_works(install, make_random_maps) -> None:
    section = README.read_text(encoding="utf-8").split("## Your own strategy")[1].split("\n## ")[0]
    project = tomllib.loads(re.search(r"```toml\n(.*?)```", section, re.DOTALL)[1])["project"]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]
    module = re.search(r"`(\w+\.py)`", section)[1]
    [(name, value)] = project["entry-points"]["lmial.strategies"].items()
    install(project["name"], {module: code}, {name: value})
    one = strategy(name)
    assert one.name == name and name not in STRATEGIES and known_strategies()[0][name] is one
    ranking = rank([score_case(make_random_maps(), one)], one, seed=0)
    assert ranking.strategy == name and len(ranking.queries) == 8
    listed = CliRunner().invoke(app, ["strategies"])
    assert listed.exit_code == 0 and name in listed.stdout and one.summary in listed.stdout
    assert name in CliRunner().invoke(app, ["strategies", "--json"]).stdout
    assert name not in CliRunner().invoke(app, ["strategies", "--markdown"]).stdout


def test_a_function_that_returns_a_strategy_will_do(install) -> None:
    install("lmial-made", {"made_here.py": GOOD.format(name="made-here")}, {"made-here": "made_here:make"})
    assert strategy("made-here").measure is STRATEGIES["entropy"].measure


@pytest.mark.parametrize("name", ["entropy", "default"])
def test_none_of_ours_can_be_replaced(name: str, install) -> None:
    install("lmial-thief", {"thief.py": GOOD.format(name=name)}, {name: "thief:make"})
    with pytest.raises(WrongUse, match=f"{name!r} of the package lmial-thief has the name of one of LMIAL's own"):
        strategy(name)
    known, problems = known_strategies()
    assert known == dict(STRATEGIES) and len(problems) == 1 and "lmial-thief" in problems[0]
    assert strategy("margin") is STRATEGIES["margin"]


def test_a_default_of_that_name_is_not_replaced_through_the_back_door(install) -> None:
    install("lmial-thief", {"thief.py": GOOD.format(name=DEFAULT_STRATEGY)}, {DEFAULT_STRATEGY: "thief:make"})
    with pytest.raises(WrongUse, match="LMIAL's own"):
        strategy("default")


@pytest.mark.parametrize(
    ("code", "value", "why"),
    [
        ("raise RuntimeError('no licence')", "broken_one:make", "RuntimeError: no licence"),
        ("make = 3", "broken_one:make", "is int; expected a Strategy"),
        ("", "broken_one:make", "AttributeError"),
        (GOOD.format(name="another"), "broken_one:make", "calls itself 'another'"),
        ("def make():\n    return 1 / 0", "broken_one:make", "ZeroDivisionError"),
    ],
)
def test_a_broken_one_names_itself_and_stops_no_other(code: str, value: str, why: str, install, monkeypatch) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "broken_one", raising=False)
    install("lmial-broken", {"broken_one.py": code}, {"broken": value})
    install("lmial-sound", {"sound_one.py": GOOD.format(name="sound")}, {"sound": "sound_one:make"})
    with pytest.raises(WrongUse, match=f"'broken' of the package lmial-broken.*{why}"):
        strategy("broken")
    assert strategy("sound").name == "sound" and strategy("entropy") is STRATEGIES["entropy"]
    known, problems = known_strategies()
    assert "sound" in known and "broken" not in known and len(problems) == 1
    listed = CliRunner().invoke(app, ["strategies"])
    assert listed.exit_code == 0 and "lmial-broken" in listed.stderr and "Traceback" not in listed.output
    monkeypatch.delitem(sys.modules, "broken_one", raising=False)


def test_two_packages_of_one_name_are_refused(install) -> None:
    for package in ("first", "second"):
        install(f"lmial-{package}", {f"{package}_one.py": GOOD.format(name="twice")}, {"twice": f"{package}_one:make"})
    with pytest.raises(WrongUse, match="also brought by"):
        strategy("twice")


def test_an_unknown_name_is_answered_with_the_closest_and_all() -> None:
    with pytest.raises(WrongUse) as caught:
        strategy("diference-entropy")
    assert caught.value.hint.startswith("Did you mean difference-entropy")
    assert all(name in caught.value.hint for name in STRATEGIES)


def test_the_command_refuses_two_forms_at_once() -> None:
    done = CliRunner().invoke(app, ["strategies", "--json", "--markdown"])
    assert done.exit_code == 2 and "exclude each other" in done.stderr
