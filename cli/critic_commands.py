"""The commands ``denizens train critic`` and ``denizens train adversarial``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .application import DeviceOption, DtypeOption, JsonOption, console, print_json, print_line
from .live_progress import loading_line
from .training_commands import train

if TYPE_CHECKING:
    from ..core import Json
    from ..training import PersonaDialogue
    from ..training.critics import CriticFigures, Stage

DataArgument = Annotated[
    list[Path],
    typer.Argument(metavar="DATA...", help="Dialogues to learn from, as of train voice."),
]
CheckOption = Annotated[
    list[Path] | None,
    typer.Option("--check", help="Dialogues to judge by; default: a tenth of DATA."),
]
BaseOption = Annotated[str, typer.Option("--base", help="The voice's model, as for --model.")]
SeedOption = Annotated[int, typer.Option("--seed")]
CHECK_SHARE = 10  # every tenth dialogue is set aside where no check data are given
REPLY_ITEMS = 200


@train.command()
def critic(
    data: DataArgument,
    voice: Annotated[Path, typer.Option("--voice", help="The folder of the voice to judge.")],
    base: BaseOption = "smollm2",
    check: CheckOption = None,
    places: Annotated[
        int, typer.Option("--places", help="Prompts whose lines the model scores.")
    ] = 600,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    seed: SeedOption = 1,
    json: JsonOption = False,
) -> None:
    """Teach a critic of next lines, which picks among drafts, and write it to the voice's folder.
    The same command continues a training that was interrupted."""
    import shutil

    from ..core import DEFAULT_VOICE
    from ..models import load_local
    from ..training import next_line_items
    from ..training.critics import (
        WORK_FOLDER,
        CriticSettings,
        evaluate_critic,
        evaluate_reply_at_1,
        train_critic,
    )

    learned, judged = _dialogues(data, check)
    settings = CriticSettings(places=places, seed=seed)
    work = voice / WORK_FOLDER
    with loading_line(console()) as progress:
        _remove_damaged_critic(voice)
        progress(f"loading {base} with {voice}")
        model = load_local(base, device=device, dtype=dtype, voice=str(voice))
        made = train_critic(model, learned, work, settings, progress)
        made.write(voice)
        model.decider.set_critic(DEFAULT_VOICE, made)
        progress("judging the critic")
        # A quarter is enough for figures, and leaves the time to the training.
        figures = evaluate_critic(
            model, made, judged, CriticSettings(places=places // 4, seed=seed), progress
        )
        items = next_line_items(judged, REPLY_ITEMS)
        replies = {
            "critic": evaluate_reply_at_1(model, items, by="critic"),
            "voice": evaluate_reply_at_1(model, items, by="likelihood"),
            "voice_corrected": evaluate_reply_at_1(model, items, by="corrected"),
            "base": evaluate_reply_at_1(model, items, by="likelihood", voice=""),
            "base_corrected": evaluate_reply_at_1(model, items, by="corrected", voice=""),
        }
    shutil.rmtree(work)
    if json:
        print_json({"voice": str(voice), "reply_at_1": replies, **_figures_json(figures)})
        return
    for name, share in replies.items():
        print_line(f"right reply among 20, {name:16} {share:.3f}")
    for kind, area in figures.auc.items():
        print_line(f"true against {kind:16} AUC {area:.3f}")
    print_line(f"calibration error {figures.calibration_error:.3f}")


@train.command()
def adversarial(
    data: DataArgument,
    voice: Annotated[
        Path, typer.Option("--voice", help="The voice to begin from, with its critic.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The folder of the rounds.")],
    base: BaseOption = "smollm2",
    check: CheckOption = None,
    rounds: Annotated[int, typer.Option("--rounds", help="Rounds of voice and critic.")] = 2,
    prompts: Annotated[int, typer.Option("--prompts", help="Prompts of a round.")] = 200,
    drafts: Annotated[int, typer.Option("--drafts", help="Drafts for each prompt.")] = 4,
    learning_rate: Annotated[float, typer.Option("--learning-rate")] = 1e-4,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    seed: SeedOption = 1,
    json: JsonOption = False,
) -> None:
    """Rounds of voice and critic: the voice learns the drafts that the critic likes best, a new
    critic learns the new drafts, and an independent discriminator judges."""
    from ..models import load_local
    from ..training.critics import AdapterLearner, AdversarialSettings, train_adversarial
    from ..training.voice import VoiceSettings

    learned, judged = _dialogues(data, check)
    settings = AdversarialSettings(rounds=rounds, prompts=prompts, drafts=drafts, seed=seed)
    learner = VoiceSettings(base=base, learning_rate=learning_rate, seed=seed, device=device)
    with loading_line(console()) as progress:
        stages = train_adversarial(
            learned,
            judged,
            voice,
            out,
            load=lambda folder: load_local(base, device=device, dtype=dtype, voice=str(folder)),
            learn=AdapterLearner(learner),
            settings=settings,
            progress=progress,
        )
    if json:
        print_json({"out": str(out), "stages": [stage.to_json() for stage in stages]})
        return
    for stage in stages:
        print_line(_stage_line(stage))


def _remove_damaged_critic(voice: Path) -> None:
    """Remove an earlier critic that cannot be read, since the voice would not load with it."""
    from ..core import ModelCorrupt
    from ..models.decisions import CRITIC_SETTINGS, CRITIC_WEIGHTS, has_critic, read_critic

    try:
        if has_critic(voice):
            read_critic(voice)
    except ModelCorrupt as error:
        console().print(f"{error}; it is removed")
        for name in (CRITIC_SETTINGS, CRITIC_WEIGHTS):
            (voice / name).unlink(missing_ok=True)


def _dialogues(
    data: list[Path], check: list[Path] | None
) -> tuple[list[PersonaDialogue], list[PersonaDialogue]]:
    """What is learned and what is judged by. Raises DataError."""
    from ..training.sources import read_training_data

    learned = list(read_training_data(data).dialogues)
    if check:
        return learned, list(read_training_data(check).dialogues)
    judged = learned[CHECK_SHARE - 1 :: CHECK_SHARE]
    return [d for i, d in enumerate(learned) if i % CHECK_SHARE != CHECK_SHARE - 1], judged


def _figures_json(figures: CriticFigures) -> dict[str, Json]:
    return {
        "auc": dict(figures.auc),
        "calibration_error": figures.calibration_error,
        "probability": dict(figures.accepted),
        "lines": figures.lines,
    }


def _stage_line(stage: Stage) -> str:
    picked = "" if stage.auc_picked is None else f", picked by the critic {stage.auc_picked:.3f}"
    return f"{stage.name:10} discriminator AUC {stage.auc:.3f}{picked}"
