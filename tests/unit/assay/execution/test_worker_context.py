"""What a train body is given, in a group of two processes: checkpoints of every rank's files, notes, the time spent."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch.distributed
import torch.multiprocessing

import assay.execution.contexts as runner_context
from assay.costs.devices import DeviceDays
from assay.costs.ledger import entries
from assay.events import Event
from assay.execution.contexts import CONTEXT_FILE, Leaving, WorkerContext
from assay.execution.ranks import ALONE, Ranks
from assay.store import Cost, Store
from assay.workload import Budget, Checkpointing, Stage

pytestmark = pytest.mark.slow

STAGE = Stage(
    "train",
    1,
    "train",
    ("nowhere:body",),
    {"x": 1, "precision": "auto"},
    budget=Budget("n", 300, "steps"),
    execution={"engine": "auto"},
    checkpointing=Checkpointing(every=100),
)


V100, A100 = "Tesla V100-SXM2-16GB", "NVIDIA A100-SXM4-40GB"
HOUR = 3600.0


def context(
    url: str,
    output: Path,
    ranks: Ranks,
    events: list[Event] | None = None,
    device_name: str = V100,
    is_leaving: Callable[[], bool] = lambda: False,
) -> WorkerContext:
    told = events if events is not None else []
    return WorkerContext(
        STAGE,
        Store(url),
        output,
        "cpu",
        1,
        told.append,
        device_name=device_name,
        ranks=ranks,
        is_leaving=is_leaving,
    )


class Clock:
    """In the place of `time`: hours pass when they are told to."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(runner_context, "time", clock)
    return clock


def save(ctx: WorkerContext, step: int, score: float | None = None) -> None:
    def write(folder: Path) -> None:
        (folder / f"rank-{ctx.rank}.txt").write_text(f"step {step}")

    ctx.save_checkpoint(step, write, score)


class Notice:
    """Whether a worker's machine is to be taken away, as a test has it."""

    def __init__(self) -> None:
        self.is_given = False

    def __call__(self) -> bool:
        return self.is_given


def one_of_two(rank: int, url: str, folder: str) -> None:
    """What a rank saw, in a file of its own."""
    os.environ |= {"GLOO_SOCKET_IFNAME": "lo"}
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    events: list[Event] = []
    notice = Notice()
    ctx = context(url, Path(folder), Ranks(rank, 2), events, is_leaving=notice)
    seen: dict[str, object] = {"before": ctx.latest_checkpoint()}
    ctx.note("engine", "torch")
    ctx.note("precision", "bf16")
    ctx.log(100, {"loss": 0.5})
    save(ctx, 100)
    found = ctx.latest_checkpoint()
    assert found is not None
    seen["step"] = found[0]
    seen["files"] = sorted(path.name for path in found[1].iterdir())
    seen["notes"] = [event.note for event in events]
    notice.is_given = rank == 1
    try:
        save(ctx, 200)
    except Leaving as leaving:
        seen["left"] = leaving.step
    (Path(folder) / f"seen-{rank}.json").write_text(json.dumps(seen))
    torch.distributed.destroy_process_group()


def test_a_body_that_never_looks_leaves_once_it_has_saved_but_not_from_its_last_step(tmp_path: Path) -> None:
    notice = Notice()
    ctx = context(str(tmp_path / "store"), tmp_path, ALONE, is_leaving=notice)
    save(ctx, 100)
    notice.is_given = True
    with pytest.raises(Leaving) as leaving:
        save(ctx, 200)
    assert leaving.value.step == 200
    found = context(str(tmp_path / "store"), tmp_path, ALONE).latest_checkpoint()
    assert found is not None
    assert found[0] == 200, "it is saved before it leaves"
    save(ctx, STAGE.amount)


def test_a_group_of_two_saves_one_checkpoint_and_both_find_it(tmp_path: Path) -> None:
    url = str(tmp_path / "store")
    torch.multiprocessing.spawn(one_of_two, (url, str(tmp_path)), nprocs=2)
    seen = [json.loads((tmp_path / f"seen-{rank}.json").read_text()) for rank in range(2)]
    for mine in seen:
        assert mine["before"] is None
        assert mine["step"] == 100
        assert mine["left"] == 200, "where one machine goes, all leave"
        assert mine["files"] == ["context.json", "rank-0.txt", "rank-1.txt"]
    assert seen[0]["notes"] == [["engine", "torch"], ["precision", "bf16"]]
    assert seen[1]["notes"] == [], "rank 0's notes count"

    alone = context(url, tmp_path, ALONE)
    found = alone.latest_checkpoint()
    assert found is not None, "whatever number of workers wrote it"
    state = json.loads((found[1] / "context.json").read_text())
    assert state["world_size"] == 2
    assert state["config"] == {"x": 1, "precision": "bf16"}, "what was chosen"
    assert state["execution"] == {"engine": "torch"}
    assert alone.notes == {"engine": "torch", "precision": "bf16"}
    assert alone.history == [{"step": 100, "loss": 0.5}]


def test_time_and_curve_go_on_where_the_checkpoint_was(tmp_path: Path) -> None:
    url = f"memory://{tmp_path}"
    first = context(url, tmp_path, ALONE)
    first.log(100, {"loss": 0.5})
    save(first, 100)
    spent = first.seconds
    first.log(101, {"loss": 0.4})
    second = context(url, tmp_path, ALONE)
    found = second.latest_checkpoint()
    assert found is not None
    assert (found[1] / "rank-0.txt").read_text() == "step 100"
    assert second.history == [{"step": 100, "loss": 0.5}], "what was lost with the first is computed again"
    assert second.seconds > 0
    assert json.loads((found[1] / "context.json").read_text())["seconds"] <= spent


def test_a_downloaded_checkpoint_goes_when_the_next_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"memory://{tmp_path}"
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    save(context(url, tmp_path, ALONE), 100)
    ctx = context(url, tmp_path, ALONE)
    found = ctx.latest_checkpoint()
    assert found is not None
    assert (found[1] / "rank-0.txt").is_file()
    assert list(tmp_path.glob("assay-cache-*/*"))
    save(ctx, 200)
    assert not found[1].exists()
    assert not list(tmp_path.glob("assay-cache-*/*"))


def test_a_save_is_accounted_for(tmp_path: Path) -> None:
    ctx = context(str(tmp_path / "store"), tmp_path, ALONE)
    save(ctx, 100)
    assert ctx.cost_details["checkpoint_bytes"] > len("step 100")
    assert ctx.cost_details["checkpoint_seconds"] > 0


def test_a_note_is_told_when_it_is_new(tmp_path: Path) -> None:
    events: list[Event] = []
    ctx = context(str(tmp_path / "store"), tmp_path, ALONE, events)
    for value in ("bf16", "bf16", "fp32"):
        ctx.note("precision", value)
    assert [event.note for event in events] == [("precision", "bf16"), ("precision", "fp32")]
    assert ctx.notes == {"precision": "fp32"}


def ten_hours_of_two(rank: int, url: str, folder: str) -> None:
    os.environ |= {"GLOO_SOCKET_IFNAME": "lo"}
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    runner_context.time = clock = Clock()  # type: ignore[attr-defined, assignment]
    ctx = context(url, Path(folder), Ranks(rank, 2))
    clock.now = 10 * HOUR
    save(ctx, 200)
    torch.distributed.destroy_process_group()


def test_what_other_numbers_of_workers_took_counts_in_device_hours(tmp_path: Path, clock: Clock) -> None:
    url = str(tmp_path / "store")
    torch.multiprocessing.spawn(ten_hours_of_two, (url, str(tmp_path)), nprocs=2)
    alone = context(url, tmp_path, ALONE)
    alone.latest_checkpoint()
    clock.now = 1 * HOUR
    assert alone.cost == Cost(V100, 1, 21 * HOUR)
    save(alone, 300)
    again = context(url, tmp_path, ALONE)
    again.latest_checkpoint()
    assert again.cost == Cost(V100, 1, 21 * HOUR), "as many workers as before: nothing is scaled"

    (tmp_path / "output").mkdir()
    committed = Store(url).commit(replace(STAGE, items=210), tmp_path / "output", {}, alone.cost)
    (entry,) = entries([committed], DeviceDays())
    assert entry.device_seconds == 21 * HOUR
    assert entry.items_per_second == 210 / (21 * HOUR), "what one device does, as the ledger says that there was one"


def test_another_device_is_named_beside_the_earlier_one(tmp_path: Path, clock: Clock) -> None:
    url = str(tmp_path / "store")
    events: list[Event] = []
    for done, device in enumerate((V100, A100, V100), start=1):
        clock.now = 0.0
        ctx = context(url, tmp_path, ALONE, events, device)
        ctx.latest_checkpoint()
        clock.now = 1 * HOUR
        ctx.progress(100 * done)
        save(ctx, 100 * done)
    both = f"{A100}, {V100}"
    assert ctx.cost == Cost(both, 1, 3 * HOUR)
    assert [event.cost for event in events] == [Cost(V100, 1, HOUR), Cost(both, 1, 2 * HOUR), Cost(both, 1, 3 * HOUR)]


def test_a_checkpoint_that_does_not_say_who_saved_it_counts_as_one_of_ours(tmp_path: Path, clock: Clock) -> None:
    url = str(tmp_path / "store")
    checkpoints = Store(url).checkpoints(STAGE)
    state = {"step": 100, "amount": 300, "charged_from": 0, "history": [], "seconds": 2 * HOUR}
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / CONTEXT_FILE).write_text(json.dumps(state))
    checkpoints.commit(100, [checkpoints.upload(tmp_path / "old", checkpoints.new_place(100))])
    ctx = context(url, tmp_path, ALONE)
    ctx.latest_checkpoint()
    clock.now = 1 * HOUR
    assert ctx.cost == Cost(V100, 1, 3 * HOUR)
