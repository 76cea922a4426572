"""Gradients averaged during the backward pass: by two processes, and how they are divided into buckets."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from assay.workload import group
from assay.workload.gradients import BUCKET_BYTES, FEWEST_BUCKETS, GradientAverage, buckets

Gradients = dict[str, Tensor | None]


class Network(nn.Module):
    """Weights in both memory formats, and some that no loss reaches."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 8, 3, padding=1).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.unused = nn.Linear(5, 5)
        self.second = nn.Conv2d(8, 4, 3, padding=1)
        self.head = nn.Linear(4 * 6 * 6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(self.first(x).relu()).relu().flatten(1))  # type: ignore[no-any-return]


class OutOfMemory(torch.autograd.Function):
    """Fails in the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")


def losses(rank: int, count: int = 2) -> list[Callable[[Network], Tensor]]:
    """A worker's micro-batches."""
    generator = torch.Generator().manual_seed(rank)
    images = [torch.randn(4, 3, 6, 6, generator=generator) for _ in range(count)]
    return [lambda network, x=x: network(x).square().mean() for x in images]  # type: ignore[misc]


def averaged(rank: int, dtype: torch.dtype | None = None) -> dict[str, Any]:
    """One step: its gradients, and what was sent, (numbers, type), by when."""
    network = Network()
    average = GradientAverage(list(network.parameters()), dtype)
    sent: list[tuple[int, torch.dtype]] = []
    all_reduce = dist.all_reduce

    def recorded(tensor: Tensor, **options: Any) -> Any:
        sent.append((tensor.numel(), tensor.dtype))
        return all_reduce(tensor, **options)

    dist.all_reduce = recorded
    *others, last = losses(rank)
    for loss in others:
        loss(network).backward()  # type: ignore[no-untyped-call]
    before = len(sent)
    loss = last(network)
    average.start()
    loss.backward()
    during = len(sent)
    average.finish()
    dist.all_reduce = all_reduce
    return {"gradients": gradients(network), "before": before, "during": during, "sent": sent}


def averaged_afterwards(rank: int) -> Gradients:
    network = Network()
    for loss in losses(rank):
        loss(network).backward()  # type: ignore[no-untyped-call]
    group.average([p.grad for p in network.parameters() if p.grad is not None])
    return gradients(network)


def after_a_failure(rank: int) -> dict[str, Any]:
    """Worker 1 runs out of memory midway through its backward pass; then both take an ordinary step."""
    network = Network()
    average = GradientAverage(list(network.parameters()))
    failed = False
    hidden = network.first(torch.ones(4, 3, 6, 6)).relu()
    out = network.head(network.second(OutOfMemory.apply(hidden) if rank == 1 else hidden).relu().flatten(1))
    average.start()
    try:
        out.mean().backward()
    except torch.OutOfMemoryError:
        failed = True
    average.finish()
    network.zero_grad(set_to_none=True)
    for loss, is_last in zip(losses(rank), (False, True), strict=True):
        if is_last:
            average.start()
        loss(network).backward()  # type: ignore[no-untyped-call]
    average.finish()
    return {"failed": failed, "gradients": gradients(network)}


def large_in_16_bits() -> Tensor:
    """Gradients of 40,000 on both workers, whose sum no fp16 number is."""
    weight = nn.Parameter(torch.zeros(3))
    average = GradientAverage([weight], torch.float16)
    average.start()
    (weight * 40_000).sum().backward()  # type: ignore[no-untyped-call]
    average.finish()
    assert weight.grad is not None
    return weight.grad


def gradients(network: Network) -> Gradients:
    return {name: None if p.grad is None else p.grad.clone() for name, p in network.named_parameters()}


def one_of_two(rank: int, folder: str) -> None:
    os.environ |= {"GLOO_SOCKET_IFNAME": "lo"}
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    found = {
        "afterwards": averaged_afterwards(rank),
        "during": averaged(rank),
        "bf16": averaged(rank, torch.bfloat16),
        "failure": after_a_failure(rank),
        "large": large_in_16_bits(),
    }
    torch.save(found, f"{folder}/{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two workers found."""
    folder = tmp_path_factory.mktemp("gradients")
    torch.multiprocessing.spawn(one_of_two, (str(folder),), nprocs=2)
    return [torch.load(Path(folder) / f"{rank}.pt") for rank in range(2)]


def same(one: Gradients, other: Gradients) -> bool:
    return one.keys() == other.keys() and all(
        (a is None and b is None) or (a is not None and b is not None and torch.equal(a, b))
        for a, b in zip(one.values(), other.values(), strict=True)
    )


def test_the_means_are_those_of_averaging_afterwards_bit_for_bit(workers: list[dict[str, Any]]) -> None:
    for worker in workers:
        assert same(worker["during"]["gradients"], worker["afterwards"])


def test_a_step_of_two_micro_batches_communicates_once_and_begins_during_its_last_backward_pass(
    workers: list[dict[str, Any]],
) -> None:
    network = Network()
    expected = [sum(p.numel() for p in b.parameters) for b in buckets(list(network.parameters()))]
    for worker in workers:
        step = worker["during"]
        assert step["before"] == 0, "the first micro-batch only accumulates"
        assert 0 < step["during"] < len(expected), "unused parameters, and what comes after them, wait for the end"
        assert step["sent"] == [(count, torch.float32) for count in expected], "in one order on all workers"


def test_what_no_loss_reaches_has_no_gradient(workers: list[dict[str, Any]]) -> None:
    for worker in workers:
        missing = {name for name, gradient in worker["during"]["gradients"].items() if gradient is None}
        assert missing == {"unused.weight", "unused.bias"}


def test_in_16_bits_half_as_many_bytes_are_sent_and_all_workers_have_the_same_rounded_means(
    workers: list[dict[str, Any]],
) -> None:
    assert {dtype for worker in workers for _, dtype in worker["bf16"]["sent"]} == {torch.bfloat16}
    rounded, exact = workers[0]["bf16"]["gradients"], workers[0]["afterwards"]
    assert same(rounded, workers[1]["bf16"]["gradients"])
    assert not same(rounded, exact)
    for name, gradient in exact.items():
        if gradient is not None:
            assert rounded[name].dtype == torch.float32
            torch.testing.assert_close(rounded[name], gradient, rtol=0.02, atol=0.01 * float(gradient.abs().max()))


def test_16_bits_hold_means_whose_sum_they_do_not_hold(workers: list[dict[str, Any]]) -> None:
    for worker in workers:
        assert worker["large"].tolist() == [40_000.0] * 3


def test_where_a_worker_runs_out_of_memory_none_waits_and_the_next_step_is_right(
    workers: list[dict[str, Any]],
) -> None:
    assert [worker["failure"]["failed"] for worker in workers] == [False, True]
    for worker in workers:
        assert same(worker["failure"]["gradients"], worker["afterwards"])


def test_buckets_hold_every_parameter_once_from_last_to_first() -> None:
    parameters = [nn.Parameter(torch.zeros(10 * count)) for count in (1, 7, 3, 90, 2, 2)]
    divided = list(buckets(parameters))
    assert [id(p) for bucket in divided for p in bucket.parameters] == [id(p) for p in reversed(parameters)]


def test_buckets_of_a_small_network_are_many_and_of_a_large_one_no_larger_than_the_most() -> None:
    small = [nn.Parameter(torch.zeros(100)) for _ in range(64)]
    assert len(list(buckets(small))) == FEWEST_BUCKETS
    large = [nn.Parameter(torch.empty(2**20, device="meta")) for _ in range(200)]
    sizes = [4 * sum(p.numel() for p in bucket.parameters) for bucket in buckets(large)]
    assert max(sizes) <= BUCKET_BYTES < max(sizes) + 4 * 2**20
    (alone,) = buckets([nn.Parameter(torch.empty(2**23, device="meta"))])
    assert len(alone.parameters) == 1, "one that is larger has a bucket of its own"


def test_a_single_worker_keeps_its_gradients() -> None:
    weight = nn.Parameter(torch.ones(3))
    average = GradientAverage([weight])
    average.start()
    weight.square().sum().backward()  # type: ignore[no-untyped-call]
    average.finish()
    assert weight.grad is not None
    assert weight.grad.tolist() == [2.0] * 3
