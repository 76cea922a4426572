"""Whether a stage that failed is tried again, and what its failure is called: decided without Ray."""

import tempfile
from pathlib import Path

import pytest
import ray

from assay.errors import AssayError, StoreError, UserError
from assay.execution.ray.deaths import failure_by, kernel_kills
from assay.execution.retries import Failure, failure_of, may_help


def raised(error: Exception, place: str = "at step 7") -> Failure:
    try:
        raise error
    except Exception as caught:
        caught.add_note(place)
        return failure_of(caught)


DEATH = Failure("its process was killed")
ODD = RuntimeError("the loss is not a number")


@pytest.mark.parametrize(
    "error",
    [
        ImportError("no"),
        ModuleNotFoundError("No module named 'x'"),
        SyntaxError("("),
        UserError("no"),
        AssayError("no"),
    ],
)
def test_what_no_try_mends_is_not_tried_again(error: Exception) -> None:
    assert not may_help([raised(error)], retries=3)


def test_a_store_may_be_there_again() -> None:
    assert may_help([raised(StoreError("cannot read it"))], retries=3)


def test_the_same_exception_at_the_same_step_is_tried_once_more() -> None:
    assert may_help([raised(ODD)], retries=3)
    assert not may_help([raised(ODD), raised(ODD)], retries=3)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (raised(ODD), raised(ODD, "at step 8")),
        (raised(ODD), raised(ValueError("the loss is not a number"))),
        (raised(IndexError("index 5 is out of bounds")), raised(IndexError("index 6 is out of bounds"))),
        (DEATH, DEATH),
        (raised(ODD), DEATH),
    ],
)
def test_another_place_another_error_or_a_death_may_end_otherwise(first: Failure, second: Failure) -> None:
    assert may_help([first, second], retries=3)
    assert not may_help([first, second], retries=1)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("<Net object at 0x7f00aa>", "<Net object at 0x7f11bb>"),
        ("process 12 (pid=12) closed it", "process 99 (pid=99) closed it"),
        ("actor a41b5a01a427e8e16496685101000000", "actor 0000aaaa1111bbbb2222cccc01000000"),
        (f"cannot open {tempfile.gettempdir()}/tmpab1/x", f"cannot open {tempfile.gettempdir()}/tmpcd2/x"),
    ],
)
def test_addresses_processes_and_temporary_files_make_no_difference(first: str, second: str) -> None:
    assert not may_help([raised(OSError(first)), raised(OSError(second))], retries=3)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ODD, "RuntimeError: the loss is not a number"),
        (ValueError("cannot draw:\nno ink"), "ValueError: cannot draw: no ink"),
        (UserError("a batch of 4 does not divide by 3 workers"), "a batch of 4 does not divide by 3 workers"),
        (KeyError("images"), "KeyError: 'images'"),
    ],
)
def test_a_cause_is_one_line_without_wrapping(error: Exception, cause: str) -> None:
    assert raised(error).cause == cause
    assert "at step 7" in raised(error).trace.splitlines(), "the log says where"


OUT_OF_MEMORY = """\
1 worker(s) were killed due to the node running low on memory. Memory on the node (IP: 192.0.2.2, ID: c66fe7ea) \
was 3.63GB used / 23.54GB limit (0.154274)
OOM kill reason: Memory usage 3858079744B exceeded threshold of 3791409664B (15.0% of 25276063744B limit)"""


def test_memory_that_ran_out_says_what_to_lower() -> None:
    failure = failure_by(ray.exceptions.OutOfMemoryError(OUT_OF_MEMORY), "train")
    assert failure.cause.startswith(
        "Ray ended its process, since memory ran short on the machine (3.63GB of 23.54GB in use); lower its micro_batch"
    )
    assert "| OOM kill reason" in failure.trace, "the log has Ray's words"
    assert "batch_size" in failure_by(ray.exceptions.OutOfMemoryError(OUT_OF_MEMORY), "map").cause
    assert "cpus" in failure_by(ray.exceptions.OutOfMemoryError(OUT_OF_MEMORY), "reduce").cause


def test_memory_that_a_body_found_short_says_what_to_lower() -> None:
    of_torch = type("OutOfMemoryError", (RuntimeError,), {"__module__": "torch"})
    for error in (MemoryError("no 4 GB"), of_torch("CUDA out of memory.\nTried to allocate 2 GB")):
        cause = failure_by(error, "train").cause
        assert "lower its micro_batch" in cause
        assert cause.startswith(("MemoryError: no 4 GB; ", "torch.OutOfMemoryError: CUDA out of memory. Tried to allo"))


def test_a_death_without_a_word_is_a_guess_unless_the_kernel_counted_it() -> None:
    death = ray.exceptions.RayActorError(error_msg="The actor died unexpectedly before finishing this task.\n\tpid: 7")
    assert "often by the kernel, for lack of memory; if so, lower" in failure_by(death, "train").cause
    assert "the kernel probably killed its process: it has just killed 1" in failure_by(death, "train", killed=1).cause
    assert may_help([failure_by(death, "train")], retries=1)


def test_the_kernel_is_asked_of_the_container_first(tmp_path: Path) -> None:
    (container := tmp_path / "memory.events").write_text("low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\n")
    (machine := tmp_path / "vmstat").write_text("nr_free_pages 5\noom_kill 9\n")
    assert kernel_kills([tmp_path / "none", container, machine]) == 2
    assert kernel_kills([machine]) == 9
    assert kernel_kills([tmp_path / "none"]) == 0
