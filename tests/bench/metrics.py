"""The metrics at the size of the paper's Inception features, beside SciPy and scikit-learn, in one run.

    python tests/bench/metrics.py [--threads 2] [--dim 2048] [--samples 5000] [--references 10000] [--repeats 3]

Times are medians of the repeats. Each comparison checks first that both sides give the same result.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of BLAS and of torch")
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--references", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--max-bytes", type=int, help=argparse.SUPPRESS)  # the process whose memory is measured
    options = parser.parse_args()
    os.environ.update({name: str(options.threads) for name in THREADS})  # read when NumPy loads, so it loads after this
    import torch

    torch.set_num_threads(options.threads)
    if options.max_bytes:
        print(*peak_memory(options))
        return
    print(f"{options.threads} threads, D = {options.dim}; load {os.getloadavg()[0]:.1f} at the start")
    print(f"{'':<68}{'clock':>10}{'CPU':>10}{'ratios':>12}")
    for part in options.only:
        PARTS[part](options)
    print(f"load {os.getloadavg()[0]:.1f} at the end")


def frechet(options: argparse.Namespace) -> None:
    """The distance alone, from moments; then what an interval and FID∞ of 24 blocks cost."""
    import numpy as np
    import scipy.linalg

    from imaging import Gaussian, Moments, frechet_distance, frechet_distance_infinity, frechet_interval

    reference, samples = features(options, 0, 2 * options.dim + 1000), features(options, 1, 3 * options.dim + 1000)
    first, second = Moments.of(reference), Moments.of(samples)

    def by_sqrtm() -> float:
        root = np.real(scipy.linalg.sqrtm(first.cov @ second.cov))
        return float(np.sum((first.mean - second.mean) ** 2) + np.trace(first.cov + second.cov - 2 * root))

    expected, textbook = timed(by_sqrtm, 1)
    cold, uncached = timed(lambda: frechet_distance(Gaussian(first.mean, first.cov), second), options.repeats)
    frechet_distance(first, second)  # keeps the factor
    warm, cached = timed(lambda: frechet_distance(first, second), options.repeats)
    assert np.allclose([cold, warm], expected, rtol=1e-6), (cold, warm, expected)
    show("Fréchet distance, scipy.linalg.sqrtm", textbook)
    show("  this one", uncached, textbook)
    show("  this one, the reference's factor kept", cached, textbook)
    blocks, cut = timed(lambda: Moments.blocks(samples), 1)
    show(f"  moments of {len(samples):,} samples in {len(blocks)} blocks", cut)
    show("  interval", timed(lambda: frechet_interval(first, blocks), 1)[1])
    if len(samples) // 3 > options.dim:
        show("  FID∞ with its standard error", timed(lambda: frechet_distance_infinity(first, blocks), 1)[1])


def precision_recall(options: argparse.Namespace) -> None:
    import numpy as np
    from sklearn.metrics import pairwise_distances_chunked
    from sklearn.neighbors import NearestNeighbors

    import imaging

    reference, samples = features(options, 0, options.references), features(options, 1, options.samples)

    def by_sklearn() -> tuple[float, float]:
        """Radii from the fourth neighbour, itself the first; one pass over the distances between the sets."""
        radii = [NearestNeighbors(n_neighbors=4).fit(of).kneighbors(of)[0][:, 3] for of in (reference, samples)]
        precise, recalled = [], np.zeros(len(reference), dtype=bool)
        start = 0
        for distances in pairwise_distances_chunked(samples, reference):
            precise.append((distances <= radii[0]).any(axis=1))
            recalled |= (distances <= radii[1][start : start + len(distances), None]).any(axis=0)
            start += len(distances)
        return float(np.concatenate(precise).mean()), float(recalled.mean())

    expected, textbook = timed(by_sklearn, 1)
    found, ours = timed(lambda: imaging.precision_recall(reference, samples), options.repeats)
    assert np.allclose(found, expected, atol=2e-3), (found, expected)  # theirs is float32, and decides ties by it
    size = f"{options.samples:,} samples × {options.references:,} references"
    show(f"precision and recall, {size}, scikit-learn", textbook)
    show("  this one", ours, textbook)


def products(options: argparse.Namespace) -> None:
    """What the arithmetic of the products costs, alternated; and the floors, a product of all pairs of each search."""
    import torch

    from imaging.metrics import neighbours
    from imaging.metrics import precision_recall as searches

    reference, samples = features(options, 0, options.references), features(options, 1, options.samples)
    pairs = len(reference) ** 2 + len(samples) ** 2 + len(reference) * len(samples)
    usual = neighbours.screening_dtypes

    def hits(dtypes: tuple[torch.dtype, ...]) -> searches.ManifoldHits:
        neighbours.screening_dtypes = searches.screening_dtypes = lambda device: dtypes
        try:
            return searches.manifold_hits(reference, samples)
        finally:
            neighbours.screening_dtypes = searches.screening_dtypes = usual

    ways = {"float32": (torch.float32,), "bfloat16 first": (torch.bfloat16, torch.float32)}
    taken: dict[str, list[Taken]] = {name: [] for name in ways}
    found = []
    for _ in range(options.repeats):
        for name, dtypes in ways.items():
            result, times = timed(lambda dtypes=dtypes: hits(dtypes), 1)
            found.append(result)
            taken[name].append(times)
    assert all((one == other).all() for result in found for one, other in zip(result, found[0], strict=True))
    median = {name: Taken(*map(statistics.median, zip(*times, strict=True))) for name, times in taken.items()}
    size = f"{options.samples:,} samples × {options.references:,} references"
    for name, dtypes in ways.items():
        show(f"precision and recall, {size}, {name}", median[name], median["float32"])
        rows = torch.randn(4096, options.dim).to(dtypes[0])
        floor = timed(lambda rows=rows: rows @ rows.T, 5)[1]
        show("  its floor, the products alone", Taken(*(time * pairs / 4096**2 for time in floor)))


def trial(options: argparse.Namespace) -> None:
    """What intervals add to the metrics of a trial."""
    import imaging
    from imaging.extractors import FEATURES
    from imaging.metrics import trial as of_a_trial

    seen, samples = features(options, 0, options.references), features(options, 1, options.samples)
    reference, num = imaging.Moments.of(seen).gaussian, len(samples)
    _, root = timed(lambda: reference.root, 1)
    show(f"of {num:,} samples, {len(seen):,} references: the reference's root, once a trial", root)
    _, alone = timed(lambda: imaging.frechet_distance(reference, samples), 1)
    show("  Fréchet distance, from features", alone)

    def comparison() -> of_a_trial.Comparison:
        """A new one each time: it keeps what it computed."""
        return of_a_trial.Comparison(lambda column: samples, lambda column: seen, {FEATURES: reference})

    _, sure = timed(lambda: of_a_trial.frechet(comparison()), 1)
    show("  with its interval of 20 blocks", sure)
    _, hits = timed(lambda: imaging.precision_recall(seen, samples), 1)
    _, kernel = timed(lambda: imaging.kid_with_standard_error(seen, samples), 1)
    show("  precision and recall, and KID", Taken(hits.wall + kernel.wall, hits.cpu + kernel.cpu))
    _, pairs = timed(lambda: of_a_trial.precision_recall(comparison()), 1)
    _, kernels = timed(lambda: of_a_trial.kid(comparison()), 1)
    show("  with intervals", Taken(pairs.wall + kernels.wall, pairs.cpu + kernels.cpu))


def memory(options: argparse.Namespace) -> None:
    """Peak beyond the features and their float32 copies, each bound in a process of its own."""
    for bound in (1 << 26, 1 << 28, 1 << 30):
        arguments = [f"--{name}={getattr(options, name)}" for name in ("threads", "dim", "samples", "references")]
        command = [sys.executable, __file__, *arguments, f"--max-bytes={bound}"]
        grown, copies = map(int, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
        print(f"precision and recall, max_bytes {bound >> 20:>5} MiB: peak {grown >> 20:,} MiB, ", end="")
        print(f"of which the copies {copies >> 20:,}: {(grown - copies) / bound:.2f} of the bound")


def peak_memory(options: argparse.Namespace) -> tuple[int, int]:
    """Bytes that precision_recall added to the process's peak, and bytes of the float32 copies it is allowed."""
    import imaging

    def status(field: str) -> int:  # of Linux; ru_maxrss would count the process that started this one
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))

    reference, samples = features(options, 0, options.references), features(options, 1, options.samples)
    imaging.precision_recall(reference[:50], samples[:50])  # so that libraries have loaded what they need
    before = status("VmRSS:")
    imaging.precision_recall(reference, samples, max_bytes=options.max_bytes)
    return status("VmHWM:") - before, reference.nbytes + samples.nbytes


def features(options: argparse.Namespace, seed: int, num: int) -> Any:
    """float32 (num, D), correlated and not negative, as Inception's are; seed 1 a little off seed 0."""
    import numpy as np

    generator = np.random.default_rng(seed)
    # A step at a time: the peak of memory is measured against what is there before.
    result = np.empty((num, options.dim), dtype=np.float32)
    hidden = np.random.default_rng(99).standard_normal((64, options.dim), dtype=np.float32)
    for start in range(0, num, 500):
        rows = result[start : start + 500]
        rows[:] = generator.standard_normal((len(rows), 64), dtype=np.float32) @ hidden / 8
        rows += generator.standard_normal(rows.shape, dtype=np.float32) * 0.3
    np.maximum(result, 0, out=result)
    result *= 1 - 0.05 * seed
    return result


class Taken(NamedTuple):
    """Seconds of the clock, and of all threads' CPU: with one thread, the figure that other work does not stretch."""

    wall: float
    cpu: float


def timed(work: Callable[[], Any], repeats: int) -> tuple[Any, Taken]:
    """The last result and the median times."""
    taken = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        taken.append(Taken(time.perf_counter() - wall, time.process_time() - cpu))
    return result, Taken(*(sorted(times)[repeats // 2] for times in zip(*taken, strict=True)))


def show(name: str, taken: Taken, against: Taken | None = None) -> None:
    ratios = f"{against.wall / taken.wall:>8.1f}×{against.cpu / taken.cpu:>8.1f}×" if against else ""
    print(f"{name:<68}{taken.wall:>8.2f} s{taken.cpu:>8.2f} s{ratios}", flush=True)


PARTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "frechet": frechet,
    "precision_recall": precision_recall,
    "products": products,
    "trial": trial,
    "memory": memory,
}

if __name__ == "__main__":
    main()
