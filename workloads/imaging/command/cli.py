"""`adm-evaluate`: the published evaluator's metrics, from the same files, without TensorFlow.

    adm-evaluate REF.npz SAMPLES.npz [SAMPLES2.npz …]
    adm-evaluate --self-check [DATA.npz …]

Metrics go to stdout, everything else to stderr. Exit codes: 0 done; 1 a self-check failed; 2 a mistake in the request;
130 Ctrl-C.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from assay.errors import AssayWarning, UserError, passing_warnings
from assay.text import first_line
from imaging.config import MOST_GIB

if TYPE_CHECKING:
    from imaging.command.output import Outcome
    from imaging.command.self_check import SelfCheck
    from imaging.extractors.inception import InceptionV3
    from imaging.reference.files import ImageBatches, Reference
    from imaging.reference.npz_images import NpzImages

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
        Path | None, typer.Argument(metavar="REF.npz", help="Statistics, images (arr_0), or both.")
    ] = None,
    samples: Annotated[
        list[Path] | None, typer.Argument(metavar="SAMPLES.npz...", help="Images, uint8 (N, H, W, 3).")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images at once in Inception.")] = 64,
    max_gib: Annotated[
        float,
        typer.Option(
            min=0.001,
            help="Working memory for precision and recall, beyond the features; inf: no bound.",
        ),
    ] = 1.0,
    inception: Annotated[
        Path | None,
        typer.Option(help="Inception's weights. Else $ADM_INCEPTION_WEIGHTS, else the file in ~/.cache/adm."),
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
    is_self_check: Annotated[
        bool,
        typer.Option(
            "--self-check",
            help="Compare each file of images with itself, and its halves; without a file, scikit-learn's digits.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")] = False,
) -> None:
    """Inception Score, FID, sFID, Precision and Recall of samples, as the published evaluator computes them.

    The Inception Score needs the samples alone. Precision and recall need images in REF. Intervals, and KID with its
    standard error, are part of a trial's results (see workloads/imaging/README.md).
    """
    err = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    try:
        with _printed_warnings(err) as messages:
            from imaging.command.output import as_json_text, as_text
            from imaging.extractors.inception_weights import find

            if is_self_check:
                paths = [path for path in (reference, *(samples or [])) if path is not None]
                checks = _self_checks(paths, inception, any_weights, precision, device, batch_size, err)
                _print_self_checks(checks, messages, as_json)
                return
            if reference is None or not samples:
                raise UserError(
                    "REF.npz and SAMPLES.npz are needed: what to compare with, and what to compare (see --help)"
                )
            weights = find(inception)
            files = _opened(reference, samples)
            network = _network(weights, any_weights, precision, device)
            outcome = _outcome(network, *files, batch_size, int(min(max_gib, MOST_GIB) * 2**30), save_reference, err)
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
    from imaging.extractors.inception_weights import ENVIRONMENT, InceptionWeightsError, find
    from imaging.reference.npz_images import NpzImages

    sets: list[tuple[str, ImageBatches]] = [(str(path), NpzImages.open(path)) for path in paths]
    try:
        network = _network(find(inception), any_weights, precision, device)
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


def _opened(reference: Path, samples: list[Path]) -> tuple[Reference, list[NpzImages]]:
    """Open and check every file before anything is computed."""
    from imaging.command.figures import warn_if_few
    from imaging.reference.files import read_reference
    from imaging.reference.npz_images import NpzImages

    files = [NpzImages.open(path) for path in samples]
    read = read_reference(reference)
    for file in files:
        warn_if_few(str(file.path), len(file))
        if read.images is not None and file.shape[1:3] != read.images.shape[1:3]:
            (height, width), (other_height, other_width) = file.shape[1:3], read.images.shape[1:3]
            warnings.warn(
                f"{file.path} has images of {height} × {width} pixels, and {reference} of {other_height} × "
                f"{other_width}: distances include the effect of resizing",
                AssayWarning,
                stacklevel=1,
            )
    if len({len(file) for file in files}) > 1:
        counts = ", ".join(f"{file.path} {len(file):,}" for file in files)
        warnings.warn(
            f"the files have different numbers of images ({counts}), and FID falls with their number: compare the same "
            "number of each",
            AssayWarning,
            stacklevel=1,
        )
    return read, files


def _network(weights: Path, any_weights: bool, precision: Arithmetic, device: str | None) -> InceptionV3:
    import torch

    from imaging import InceptionV3

    network = InceptionV3(weights, precision=precision.value, any_weights=any_weights)
    if not network.is_published:
        warnings.warn(
            f"these are not the weights that FID is defined by; distances are called fd_{network.extractor} and are "
            "not comparable with published ones",
            AssayWarning,
            stacklevel=1,
        )
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return network.to(chosen)
    except (RuntimeError, AssertionError) as error:  # what PyTorch raises for a missing device
        raise UserError(f"--device {chosen}: {first_line(error)}") from error


def _outcome(
    network: InceptionV3,
    reference: Reference,
    files: list[NpzImages],
    batch_size: int,
    max_bytes: int,
    save_reference: Path | None,
    err: Console,
) -> Outcome:
    from imaging.command.figures import figures, image_features, reference_features
    from imaging.command.output import Evaluated, Outcome
    from imaging.extractors.inception_weights import distance_name

    num_images = None if reference.images is None else len(reference.images)
    with _progress(err, reference.path.name, num_images) as advance:
        compared_to = reference_features(network, reference, batch_size, advance)
    if save_reference is not None:
        compared_to.save(save_reference, reference.images, reference.label(network.features_name))
        err.print(f"wrote {save_reference}")
    evaluated: list[Evaluated] = []
    for file in files:
        with _progress(err, file.path.name, len(file)) as advance:
            features = image_features(network, file, batch_size, advance)
        distance = distance_name(network.extractor)
        metrics = figures(compared_to, features, distance, str(network.fc.weight.device), max_bytes)
        evaluated.append(Evaluated(file.path, len(file), metrics))
    facts = (compared_to.num_images, num_images, network.extractor, network.precision)
    return Outcome(reference.path, *facts, tuple(evaluated))


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
