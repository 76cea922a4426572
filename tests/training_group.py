"""A worker group without Ray: processes that train stages of adm together, over gloo. Run as a script, once a rank."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch.distributed as dist

from adm.training import precision
from adm.workload import workload
from assay.execution.ranks import Ranks
from assay.execution.work import Place, train_worker
from assay.store import Store
from assay.workload import Stage, topological

Job = Mapping[str, Any]
"""{"base": a preset (digits), "overrides": of it, "stage": which one to train, "store": where}.

And "bf16_on": the ranks whose CPUs have instructions for it, where those are to differ.
"""


def stage_of(job: Job) -> Stage:
    stages = topological(workload.stages(workload.resolve(job.get("base", "digits"), job["overrides"])))
    return next(stage for stage in stages if stage.name == job["stage"])


def train(jobs: Sequence[Job], size: int, folder: Path) -> list[str]:
    """Train every job, one after the other, by a group of `size` processes. Returns what each rank printed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "jobs.json").write_text(json.dumps(list(jobs)))
    command = [sys.executable, __file__, str(folder), str(size)]
    workers = [
        subprocess.Popen([*command, str(rank)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for rank in range(size)
    ]
    said = [worker.communicate()[0] for worker in workers]
    assert all(worker.returncode == 0 for worker in workers), "\n".join(said)
    return said


def main(folder: Path, size: int, rank: int) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder / 'group'}", rank=rank, world_size=size)
    for job in json.loads((folder / "jobs.json").read_text()):
        if "bf16_on" in job:
            has_instructions = rank in job["bf16_on"]
            precision._cpu_multiplies_bf16 = lambda found=has_instructions: found
        train_worker(stage_of(job), Store(job["store"]), Place(), lambda event: None, Ranks(rank, size))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
