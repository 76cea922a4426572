"""`adm-evaluate`: the published evaluator's metrics, from the same files, without TensorFlow, and today's.

    adm-evaluate REF SAMPLES [SAMPLES2 …]
    adm-evaluate REF SAMPLES --extractor inception --extractor dinov2 --metric density_coverage
    adm-evaluate --self-check [DATA.npz …]

Metrics go to stdout, everything else to stderr. Exit codes: 0 done; 1 a self-check failed; 2 a mistake in the request;
130 Ctrl-C.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from assay.errors import UserError, passing_warnings
from imaging.config import MOST_GIB

if TYPE_CHECKING:
    from imaging.command.output import Outcome
    from imaging.command.self_check import SelfCheck
    from imaging.command.spaces import Space
    from imaging.reference.files import ImageBatches, ImageSet, Reference

EXIT_NOT_SOUND = 1
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


class Arithmetic(StrEnum):
    """Floating-point formats that Inception can compute in."""

    fp32 = "fp32"
    bf16 = "bf16"


def main() -> None:
    """The console command."""
    app(prog_name="adm-evaluate")


@app.command()
def evaluate(
    reference: Annotated[
        Path | None,
        typer.Argument(metavar="REF", help="npz of statistics, images (arr_0), or both; folder or zip of images."),
    ] = None,
    samples: Annotated[
        list[Path] | None,
        typer.Argument(metavar="SAMPLES...", help="npz of uint8 (N, H, W, 3), folder or zip of images."),
    ] = None,
    extractor: Annotated[
        list[str] | None,
        typer.Option(help="Features to compare in: inception (default), dinov2, clip. Repeat it for several."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="Also report kid, density_coverage, authpct, frechet_infinity, or another. Repeat it for several."
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images at once in a network.")] = 64,
    size: Annotated[
        int | None,
        typer.Option(min=1, help="Crop and resize images of folders and zips to this many pixels a side."),
    ] = None,
    max_gib: Annotated[
        float,
        typer.Option(
            min=0.001,
            help="Working memory for metrics that compare pairs, beyond the features; inf: no bound.",
        ),
    ] = 1.0,
    inception: Annotated[
        Path | None,
        typer.Option(help="Inception's weights. Else $ADM_INCEPTION_WEIGHTS, else the file in ~/.cache/adm."),
    ] = None,
    dinov2: Annotated[
        Path | None,
        typer.Option(help="DINOv2's weights. Else $ADM_DINOV2_WEIGHTS, else the file in ~/.cache/adm."),
    ] = None,
    clip: Annotated[
        Path | None, typer.Option(help="CLIP's weights. Else $ADM_CLIP_WEIGHTS, else the file in ~/.cache/adm.")
    ] = None,
    any_weights: Annotated[
        bool, typer.Option("--any-weights", help="Allow other weights than the published ones: distances are not FID.")
    ] = False,
    precision: Annotated[
        Arithmetic, typer.Option(help="Inception's floating-point format: bf16 is faster and less exact.")
    ] = Arithmetic.fp32,
    device: Annotated[str | None, typer.Option(help="cpu or cuda. Default: cuda if available.")] = None,
    save_reference: Annotated[
        Path | None, typer.Option(help="Write REF's statistics and images to this file, for later.")
    ] = None,
    uses_cache: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Keep REF's features by content in ~/.cache/adm/references.")
    ] = True,
    is_self_check: Annotated[
        bool,
        typer.Option(
            "--self-check",
            help="Compare each file of images with itself, and its halves; without a file, scikit-learn's digits.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")] = False,
) -> None:
    """Inception Score, FID, sFID, Precision and Recall of samples, as the published evaluator computes them, and other
    metrics, in the features of DINOv2 and CLIP, too.

    The Inception Score needs the samples alone. Precision and recall need images in REF. --json has 95% intervals, each
    of which takes 20 more distances.
    """
    err = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    try:
        with _printed_warnings(err) as messages:
            from imaging.command.output import as_json_text, as_text

            if is_self_check:
                paths = [path for path in (reference, *(samples or [])) if path is not None]
                checks = _self_checks(paths, inception, any_weights, precision, device, batch_size, err)
                _print_self_checks(checks, messages, as_json)
                return
            if reference is None or not samples:
                raise UserError("REF and SAMPLES are needed: what to compare with, and what to compare (see --help)")
            from imaging.command import request

            asked, names = metric or [], list(dict.fromkeys(extractor or ["inception"]))
            request.refuse_unknown(names, asked)
            weights: dict[str, Path | None] = {"inception": inception, "dinov2": dinov2, "clip": clip}
            request.refuse_absent(names, weights)
            read, files = request.opened(reference, samples, size)
            spaces = [_space(name, weights[name], any_weights, precision, device) for name in names]
            request.warn_of_few(files, spaces)
            settings = Settings(batch_size, int(min(max_gib, MOST_GIB) * 2**30), tuple(asked), as_json, uses_cache)
            outcome = _outcome(spaces, read, files, settings, save_reference, err)
        typer.echo(as_json_text(outcome, messages) if as_json else as_text(outcome))
    except KeyboardInterrupt:
        err.print("adm-evaluate: stopped before the metrics were computed")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except UserError as error:
        err.print(f"adm-evaluate: {error}")
        raise typer.Exit(EXIT_USER_ERROR) from None


def _self_checks(
    paths: list[Path],
    inception: Path | None,
    any_weights: bool,
    precision: Arithmetic,
    device: str | None,
    batch_size: int,
    err: Console,
) -> list[SelfCheck]:
    """Check by Inception's features if its weights are available, else by pixels."""
    from imaging.command.self_check import Digits, self_check
    from imaging.command.spaces import inception_network
    from imaging.extractors.inception_weights import ENVIRONMENT, InceptionWeightsError, find
    from imaging.reference.npz_images import NpzImages

    sets: list[tuple[str, ImageBatches]] = [(str(path), NpzImages.open(path)) for path in paths]
    try:
        network = inception_network(find(inception), any_weights, precision.value, _device(device))
    except InceptionWeightsError as error:
        if inception is not None or ENVIRONMENT in os.environ:
            raise
        network = None
        err.print(f"comparing by pixels instead of Inception's features: {error}")
    checks = []
    for name, images in sets or [("digits", Digits())]:
        with _progress(err, name, images.shape[0]) as advance:
            checks.append(self_check(name, images, network, batch_size, advance))
    return checks


def _print_self_checks(checks: list[SelfCheck], messages: list[str], as_json: bool) -> None:
    from imaging.command.self_check import as_json_text, as_text

    typer.echo(as_json_text(checks, messages) if as_json else "\n".join(map(as_text, checks)))
    if any(check.faults for check in checks):
        raise typer.Exit(EXIT_NOT_SOUND)


def _device(asked: str | None) -> str:
    import torch

    return asked or ("cuda" if torch.cuda.is_available() else "cpu")


def _space(name: str, weights: Path | None, any_weights: bool, precision: Arithmetic, device: str | None) -> Space:
    from imaging.command.spaces import inception_network, space_of_inception, space_of_vision
    from imaging.extractors import inception_weights, vision_weights

    if name != "inception":
        return space_of_vision(vision_weights.PUBLISHED[name], weights, _device(device))
    file = inception_weights.find(weights)
    return space_of_inception(inception_network(file, any_weights, precision.value, _device(device)))


@dataclass(frozen=True)
class Settings:
    """How metrics are computed."""

    batch_size: int
    max_bytes: int
    metrics: tuple[str, ...]
    """Those that are asked for besides the standard ones."""
    with_intervals: bool
    uses_cache: bool


def _outcome(
    spaces: list[Space],
    reference: Reference,
    files: list[ImageSet],
    settings: Settings,
    save_reference: Path | None,
    err: Console,
) -> Outcome:
    from imaging.command.figures import figures, image_features, reference_features
    from imaging.command.images import digest_of
    from imaging.command.output import Evaluated, Outcome, named

    num_images = None if reference.images is None else len(reference.images)
    digest = digest_of(reference.path)
    contents = f"{digest} {reference.images and reference.images.shape}" if settings.uses_cache else None
    with _progress(err, reference.path.name, num_images) as advance:
        compared_to = reference_features(spaces, reference, settings.batch_size, advance, contents)
    if save_reference is not None:
        first = spaces[0]
        compared_to[first.extractor].save(save_reference, reference.images, reference.label(first.features))
        err.print(f"wrote {save_reference}")
    evaluated: list[Evaluated] = []
    for file in files:
        with _progress(err, file.path.name, len(file)) as advance:
            features = image_features(spaces, file, settings.batch_size, advance)
        found = [
            figures(
                space,
                compared_to[space.extractor],
                features[space.extractor],
                settings.metrics,
                settings.max_bytes,
                settings.with_intervals,
            )
            for space in spaces
        ]
        evaluated.append(Evaluated(file.path, len(file), named(found)))
    return Outcome(reference.path, digest, tuple(evaluated))


@contextmanager
def _printed_warnings(err: Console) -> Iterator[list[str]]:
    """Print each AssayWarning once, in one line, and collect them."""
    messages: list[str] = []

    def show(message: str) -> None:
        if message not in messages:
            messages.append(message)
            err.print(f"warning: {message}")

    with passing_warnings(show):
        yield messages


@contextmanager
def _progress(err: Console, name: str, num_images: int | None) -> Iterator[Callable[[int], None]]:
    """A progress bar if stderr is a terminal, and one line at the end."""
    if num_images is None:
        yield lambda count: None
        return
    columns = [TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    started = time.monotonic()
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task(name, total=num_images)
        yield lambda count: progress.advance(task, count)
    taken_s = time.monotonic() - started
    err.print(f"{name}: {num_images:,} images in {taken_s:.1f} s, {num_images / taken_s:.1f} images/s")


if __name__ == "__main__":
    main()
