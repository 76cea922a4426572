"""How close to the lower bound the studies' runs would come, simulated on 8, 64 and 512 GPUs, with and without losses.

    python tests/bench/makespans.py [SWEEP]…

The bound is the larger of the longest chain of stages and the work divided among all GPUs: no order is faster. Empty
store, times by FLOPs; stages of unknown time count as nothing.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

from assay.cli.commands.simulate import On, simulated
from assay.costs.availability import survey
from assay.costs.machines import parse_fleet
from assay.errors import UserError
from assay.planning import make_plan
from assay.store import Store
from assay.sweep import load_sweep

SWEEPS = Path(__file__).parents[2] / "sweeps"
FLEETS = ("1x(8xV100-32GB,512CPU)", "8x(8xV100-32GB,512CPU)", "64x(8xV100-32GB,512CPU)")
LOSSES_PER_HOUR = 0.05


def main() -> None:
    warnings.simplefilter("ignore")
    files = [SWEEPS / f"{name}.yaml" for name in sys.argv[1:]] or sorted(SWEEPS.glob("*.yaml"))
    print(f"{'':<32}" + "".join(f"{count:>8} GPUs{'lossy':>8}" for count in (8, 64, 512)))
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        for file in files:
            plan = make_plan(load_sweep(file))
            statuses = survey(plan, store)
            cells = ""
            for text in FLEETS:
                for losses in (0.0, LOSSES_PER_HOUR):
                    try:
                        simulation = simulated(plan, statuses, On(parse_fleet(text, 0.0, losses), 0))
                        bound = simulation.bound_s
                        cells += f"{simulation.seconds / bound:>{8 if losses else 13}.2f}" if bound else f"{'-':>10}"
                    except UserError:
                        cells += f"{'no room':>{8 if losses else 13}}"
            print(f"{file.stem:<32}{cells}", flush=True)


if __name__ == "__main__":
    main()
