"""All uses of Ray's private API, in one module to check when Ray's version changes.

Each is here because there is no public way. Modules that are slow to import are imported in the functions.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import ray
from ray._private import ray_constants
from ray._private.log import PlainRayHandler
from ray.core.generated import common_pb2, gcs_pb2

VERSION = "2.60"
"""The version this was written for. A test compares it with the installed one: check this module, then raise it."""
AUTHENTICATION_LOGGER = "ray._private.authentication"


# The cluster


def leaving_nodes() -> Collection[str]:
    """Ids of the nodes that are about to be taken away."""
    # Ray Train watches for notices too, but in an actor of the worker group: if a notice comes before that actor runs,
    # and only the announced node has room for it, it never starts.
    return ray._private.state.state.get_draining_nodes()


def placement_groups() -> Iterator[Any]:
    """A PlacementGroupTableData for each."""
    for record in ray._private.state.state._connect_and_get_accessor().get_placement_group_table():
        yield gcs_pb2.PlacementGroupTableData.FromString(record)


def workers() -> Iterator[Any]:
    """A WorkerTableData for each, including processes that have ended."""
    for record in ray._private.state.state._connect_and_get_accessor().get_worker_table():
        yield gcs_pb2.WorkerTableData.FromString(record)


def was_ended_for_memory(worker: Any) -> bool:
    return worker.exit_type == common_pb2.WorkerExitType.NODE_OUT_OF_MEMORY


def most_resources() -> Mapping[str, float] | None:
    """The most resources that the cluster may have, if its autoscaler tells. Ray's own, and KubeRay's, do not."""
    return ray._private.state.state.get_max_resources_from_cluster_config()


def starts_machines() -> bool | None:
    """Whether the cluster autoscales; None while unknown."""
    from ray.autoscaler._private.util import format_readonly_node_type
    from ray.autoscaler.v2.utils import is_autoscaler_v2
    from ray.experimental.internal_kv import _internal_kv_get

    if is_autoscaler_v2(fetch_from_server=True):
        return True  # whoever set up the cluster chose this autoscaler for that
    status = _internal_kv_get(ray_constants.DEBUG_AUTOSCALING_STATUS)
    report = json.loads(status).get("autoscaler_report") if status else None
    if not report:
        return None
    # On a cluster without autoscaling, the autoscaler only monitors, and makes each node a type of its own.
    types = report["node_type_mapping"]
    return any(kind != format_readonly_node_type(node) for node, kind in types.items())


def start_autoscaling_coordinator() -> None:
    """Start the actor that requests machines for Ray Train and Data. It repeats their requests every 20 s."""
    from ray.data._internal.cluster_autoscaler import get_or_create_autoscaling_coordinator

    get_or_create_autoscaling_coordinator()


# This process


def node() -> Any:
    """The part of Ray that this process started or is connected to."""
    return ray._private.worker.global_worker.node


def never_connect_by_itself() -> None:
    ray._private.auto_init_hook.enable_auto_connect = False


@contextmanager
def on_the_loopback_alone() -> Iterator[None]:
    """While inside, Ray treats this machine as one without multi-node clusters, and listens on loopback only."""
    was_cluster = ray_constants.ENABLE_RAY_CLUSTER
    try:
        ray_constants.ENABLE_RAY_CLUSTER = False  # read from the environment when Ray was imported
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = was_cluster


@contextmanager
def without_log_monitor() -> Iterator[None]:
    """While inside, a Ray that starts here has no process that passes what workers print to drivers: nobody asks for it
    with `log_to_driver=False`, and it takes CPU seconds for as long as a run lasts."""
    parameters = ray._private.parameter.RayParams
    try:
        ray._private.parameter.RayParams = partial(parameters, include_log_monitor=False)
        yield
    finally:
        ray._private.parameter.RayParams = parameters


def read_environment_again() -> None:
    """Ray reads its variables, and the token, once per process."""
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def words_kept(
    keep: Callable[[Any, Any], None], keep_printed: Callable[[Mapping[str, Any], bool], None]
) -> Iterator[None]:
    """While inside, `keep(handler, record)` receives what Ray's loggers write, and `keep_printed` the output of its
    other processes. Each logger has a handler of one class, some only once it is imported."""
    shown, printed = PlainRayHandler.emit, ray._private.worker.print_to_stdstream
    PlainRayHandler.emit, ray._private.worker.print_to_stdstream = keep, keep_printed
    try:
        yield
    finally:
        PlainRayHandler.emit, ray._private.worker.print_to_stdstream = shown, printed


# Training


def without_helpers(trainer: Any) -> Any:
    """The trainer, whose runs then start two processes less, and wait for neither: one is for Ray's data sets, of which
    there are none; the other frees what a dead controller held, as `free_what_the_dead_hold` does.
    """
    from ray.train.v2._internal.callbacks import DatasetsCallback
    from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback

    everything = trainer._create_default_callbacks

    def without() -> list[Any]:
        helpers = (DatasetsCallback, PlacementGroupCleanerCallback)
        return [callback for callback in everything() if not isinstance(callback, helpers)]

    trainer._create_default_callbacks = without
    return trainer


def free_address() -> tuple[str, int]:
    """In a worker: a host and a port where the others of its group can reach it."""
    from ray.train._internal.utils import get_address_and_port

    return get_address_and_port()


def join_process_group(backend: str, rank: int, size: int, address: tuple[str, int]) -> None:
    """In each worker: set up torch.distributed and torchrun's variables, as Ray's TorchConfig does."""
    from ray.train.torch.config import _set_torch_distributed_env_vars, _setup_torch_process_group

    host, port = address
    os.environ |= {"MASTER_ADDR": host, "MASTER_PORT": str(port)}
    _set_torch_distributed_env_vars()
    _setup_torch_process_group(backend, rank, size, "env://")


def on_the_device_of_the_worker() -> AbstractContextManager[None]:
    """In a worker with a GPU: it is torch's current one."""
    from ray.train.torch.config import TorchConfigContextManager

    return TorchConfigContextManager()


def is_without_room(error: BaseException) -> bool:
    """Whether a worker group could not start for lack of room."""
    from ray.train.v2._internal.exceptions import WorkerGroupStartupTimeoutError

    return isinstance(error, WorkerGroupStartupTimeoutError)


def is_without_word(error: BaseException) -> bool:
    """Whether a worker of a group no longer answers."""
    from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError

    return isinstance(error, WorkerHealthCheckFailedError)
