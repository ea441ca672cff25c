"""What a person can do next is printed as a command that can be copied and that the command line understands."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from LMIALLib.cli.commands import COMMANDS, OPTIONS, arguments, command_for
from LMIALLib.cli.console import guarded
from LMIALLib.cli.main import app
from LMIALLib.errors import BadInput, Do, Step

EXAMPLES = {"K": "0", "N": "4", "LAYOUT": "bids"}
"""In place of what a person has to fill in, where it is checked as it is read."""


def test_every_action_has_a_command() -> None:
    assert set(COMMANDS) == set(Do)


@pytest.mark.parametrize("do", sorted(set(Do) - OPTIONS))
def test_the_command_of_an_action_is_parsed_and_its_options_exist(do: Do) -> None:
    step = Step(do, "/data/my study", stage="pretraining", subject="patient01")
    words = [EXAMPLES.get(word, word) for word in arguments(step)]
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    context = command.make_context(command.name, words)
    given = [value for value in context.params.values() if value not in (None, False, (), [])]
    assert Path("/data/my study") in given or "/data/my study" not in arguments(step)


@pytest.mark.parametrize(
    ("do", "name"),
    [
        (Do.CHOOSE_SERIES, "add"),
        (Do.ALIGN_CENTRES, "add"),
        (Do.NOTHING_HERE, "label"),
        (Do.GO_ON, "pseudo-label"),
        (Do.MAKE_ANEW, "pseudo-label"),
        (Do.USE_CPU, "pseudo-label"),
    ],
)
def test_the_option_of_an_action_is_one_of_its_command(do: Do, name: str) -> None:
    program: Any = typer.main.get_command(app)
    option = command_for(Step(do)).split()[0]
    assert option in [known for one in program.commands[name].params for known in one.opts]


def test_the_old_name_of_the_command_for_pseudo_labels_works_and_is_not_shown() -> None:
    program: Any = typer.main.get_command(app)
    old, new = program.commands["teach"], program.commands["pseudo-label"]
    assert old.hidden and not new.hidden
    assert [one.opts for one in old.params] == [one.opts for one in new.params]


def test_a_command_names_the_study_so_that_it_can_be_copied() -> None:
    line = command_for(Step(Do.PIPELINE_STAGE, "/data/my study", stage="fine-tuning"))
    assert shlex.split(line) == ["lmial", "pipeline", "/data/my study", "--stage", "fine-tuning"]


def test_the_study_stands_as_it_was_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert command_for(Step(Do.RANK), Path("mine")) == "lmial rank mine"
    assert command_for(Step(Do.RANK, str(tmp_path / "mine")), Path("mine")) == "lmial rank mine"
    assert command_for(Step(Do.RANK, "/other"), Path("mine")) == "lmial rank /other"
    assert command_for(Step(Do.RANK)) == "lmial rank STUDY"


def test_an_error_is_printed_with_its_hint_and_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    def refuses(study: Path) -> None:
        raise BadInput("there is no suggestion yet.", "Rank first.", Step(Do.RANK))

    with pytest.raises(typer.Exit) as ended:
        guarded(refuses)(study=Path("my study"))
    assert ended.value.exit_code == 3
    shown = capsys.readouterr().err.splitlines()
    assert shown[-2:] == ["Rank first.", "  lmial rank 'my study'"]
    assert "lmial" not in str(BadInput("there is no suggestion yet.", "Rank first.", Step(Do.RANK)))


def test_a_step_crosses_a_pipe_and_one_of_another_version_is_left_out() -> None:
    from LMIALLib.worker.messages import steps_of

    step = Step(Do.PIPELINE_STAGE, "/data/study", stage="fine-tuning")
    assert steps_of({"steps": [step.to_dict(), {"do": "dance"}, {}, 7, Step(Do.DOCTOR).to_dict()]}) == (
        step,
        Step(Do.DOCTOR),
    )
    assert steps_of({}) == steps_of({"steps": None}) == ()
