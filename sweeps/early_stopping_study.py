"""How much compute until a model beats a target? Appendices B.2 and B.3, as a script on assay's job API.

    python sweeps/early_stopping_study.py --address http://head:8265 --set data.path=/data/imagenet/train
    python sweeps/early_stopping_study.py --smoke       # the same on digits, on a cluster of its own: minutes

Submits a sweep whose rungs are training iterations, prints each rung's figures as they come, stops the job once one
beats the target, and prints what the training took until there, in V100-days. Run it again to resume.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

import assay
from assay.cli import EXIT_INTERRUPTED, report_error
from assay.client import OVER, Client, Job
from assay.costs.devices import UTILISATION, DeviceDays
from assay.errors import AssayError
from assay.home import Home
from assay.jobs.following import patiently
from assay.jobs.local import LocalCluster
from assay.sweep import Sweep

SWEEP = Path(__file__).with_name("table8_early_stopping.yaml")
TRAININGS = "train"
"""How the names of stages begin that table 10 counts: the model and the classifier that guides it."""
POLL_S = 2.0
V100_DAYS = DeviceDays("V100")


def main(args: list[str] | None = None) -> int:
    """Returns the exit code: 0 beaten, 1 not beaten, and those of the `assay` command."""
    try:
        return _study(args)
    except AssayError as error:
        return report_error(error)
    except KeyboardInterrupt:
        print("\ninterrupted; run the same command again to go on from here", file=sys.stderr)
        return EXIT_INTERRUPTED


def _study(args: list[str] | None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", nargs="?", default=SWEEP, type=Path, help=f"default: {SWEEP.name}")
    parser.add_argument("--address", default=os.environ.get("ASSAY_ADDRESS"), help="the cluster's dashboard")
    parser.add_argument("--target", type=float, help="what the metric must beat; default: the sweep's own target")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="may be repeated")
    parser.add_argument("--store", help="where all of the cluster's machines find the results")
    parser.add_argument("--workload-package", help="a folder of modules that the job takes along")
    parser.add_argument("--smoke", action="store_true", help="digits, on a cluster that it starts and stops itself")
    given = parser.parse_args(args)
    if given.address is None and not given.smoke:
        parser.error("--address is missing; or try it here with --smoke")
    profile = "smoke" if given.smoke else None
    target = (
        given.target if given.target is not None else assay.load_sweep(given.sweep, profile=profile).scheduler.target
    )
    if target is None:
        parser.error(f"--target is missing, and {given.sweep} has none")
    # The job itself has no target: it is stopped from here, as any condition of yours could.
    sweep = assay.load_sweep(given.sweep, profile=profile, sets=[*given.set, "scheduler.target=null"])
    if not sweep.scheduler.rungs:
        parser.error(f"{given.sweep} has no rungs: there is nothing to stop at")
    with _cluster(given.address, given.smoke) as (client, store):
        job = client.submit(sweep, workload_package=given.workload_package, store=given.store or store)
        if job.submitted is not None and job.submitted.remark is not None:
            print(job.submitted.remark)
        print(f"{job.id} on {client.address}: until {sweep.metric} {'≤' if sweep.mode == 'min' else '≥'} {target:g}")
        best = watch(job, sweep, target)
        if best is None:
            print(f"{job.id}: {patiently(job.status)}, and nothing beat {target:g}")
            return 1
        if patiently(job.status) not in OVER:
            print(f"beaten; the job is stopped: {job.stop()}")
        print("\n" + cost(patiently(job.results), patiently(job.ledger), sweep, best))
    return 0


def watch(job: Job, sweep: Sweep, target: float) -> pd.Series | None:
    """Print every rung as it comes; returns the first that beats the target, or None when the job ended without."""
    seen: set[str] = set()
    while True:
        is_over = patiently(job.status) in OVER  # asked first, so that nothing can come after what is read then
        results = patiently(job.results)
        for _, row in results[~results["key"].isin(seen)].iterrows():
            seen.add(row["key"])
            if row["failure"] is not None:
                print(f"  {row['trial']} failed: {row['failure']}")
                continue
            beats = row[sweep.metric] <= target if sweep.mode == "min" else row[sweep.metric] >= target
            print(_told(row, sweep) + ("  beats the target" if beats else ""), flush=True)
            if beats:
                return row
        if is_over:
            return None
        time.sleep(POLL_S)


def cost(results: pd.DataFrame, ledger: pd.DataFrame, sweep: Sweep, best: pd.Series) -> str:
    """What the trainings took up to the rung that beat the target: table 10's columns."""
    budget = sweep.scheduler.budget
    climbed = results[(results["trial"] == best["trial"]) & (results[budget] <= best[budget])]
    needed = set(climbed["stages"].explode())
    trainings = ledger[ledger["key"].isin(needed) & ledger["stage"].str.startswith(TRAININGS)]
    days, by_operations = trainings[V100_DAYS.field], V100_DAYS.of_flops(trainings["flops"])
    lines = [f"{best['trial']} beat it after {best[budget]:,.0f} iterations. V100-days of training until there:"]
    if unknown := sorted(set(trainings.loc[days.isna(), "device"])):
        lines.append(
            f"  (nobody declared what {', '.join(unknown)} is worth in V100s: by its operations instead, "
            f"at the {UTILISATION:.0%} of a V100's peak that table 7's implementations reach)"
        )
        days = days.fillna(by_operations)
    if uncounted := sorted(set(trainings.loc[days.isna(), "stage"])):
        lines.append(f"  (nobody counted the operations of {', '.join(uncounted)}: not in the sums)")
    for stage, part in days.groupby(trainings["stage"]):
        lines.append(f"  {stage:<18} {part.sum():.3g}")
    seconds = (trainings["seconds"] * trainings["count"]).sum()
    lines.append(f"  {'total':<18} {days.sum():.3g}   ({seconds:,.0f} device-seconds here)")
    return "\n".join(lines)


def _told(row: pd.Series, sweep: Sweep) -> str:
    amount = row[sweep.scheduler.budget]
    paper = next((r.metrics for r in sweep.reference.rows if r.when.get(sweep.scheduler.budget) == amount), {})
    beside = "".join(f"  paper's {name} {value:g}" for name, value in paper.items() if name == sweep.metric)
    return f"  {row['trial']}, {amount:>9,.0f} iterations: {sweep.metric} {row[sweep.metric]:.4g}{beside}"


@contextmanager
def _cluster(address: str | None, is_smoke: bool) -> Iterator[tuple[Client, str | None]]:
    """The cluster, and where it keeps results when nobody says so."""
    if not is_smoke:
        assert address is not None
        yield assay.Client(address), None
        return
    home = Home.default()
    os.environ["ASSAY_HOME"] = str(home.root)  # the cluster is this machine: it keeps everything where `assay run` does
    print("starting a Ray cluster on this machine", flush=True)
    with LocalCluster(num_cpus=os.cpu_count() or 1) as cluster:
        yield assay.Client(cluster.address, token=cluster.token), home.store_url


if __name__ == "__main__":
    sys.exit(main())
