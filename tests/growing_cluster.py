"""A local cluster with Ray's autoscaler, which starts nodes on this machine as it would start machines elsewhere.

Ray's own for tests (`AutoscalingCluster`) is not used: it stops every Ray of this machine first, and reads a file that
Ray's package does not have.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from ray._raylet import GcsClient
from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID
from ray.cluster_utils import Cluster
from ray.core.generated import autoscaler_pb2

from job_site import descendants

ENVIRONMENT = {
    "RAY_FAKE_CLUSTER": "1",
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
}
HEAD = "ray.head.default"
ASKED = b"autoscaler_resource_request"
REPORT = b"__autoscaling_status"


class GrowingCluster:
    """A head of one CPU, and up to `most` nodes of `cpus` CPUs each. ENVIRONMENT must be set."""

    def __init__(self, folder: Path, most: int, cpus: int) -> None:
        with socket.socket() as free:
            free.bind(("", 0))
            port = free.getsockname()[1]
        config = folder / "cluster.json"
        config.write_text(json.dumps(_config(f"{ray.util.get_node_ip_address()}:{port}", most, cpus)))
        head = {
            "num_cpus": 1,
            "gcs_server_port": port,
            "include_dashboard": True,
            "autoscaling_config": str(config),
            "env_vars": {"RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID},
        }
        self.cluster = Cluster(initialize_head=True, head_node_args=head, shutdown_at_exit=False)
        self.address = self.cluster.address
        self.dashboard = f"http://{self.cluster.webui_url}"
        self._gcs = GcsClient(address=self.address)

    def wait_for_its_autoscaler(self) -> None:
        """Until it has reported for the first time."""
        while b"autoscaler_report" not in (self._gcs.internal_kv_get(REPORT, None) or b""):
            time.sleep(0.05)

    def asked(self) -> Any:
        """What it was last asked for, if it ever was."""
        asked = self._gcs.internal_kv_get(ASKED, None)
        return None if asked is None else json.loads(asked)

    def tell_its_limits(self, most: int, cpus: int) -> None:
        """As some autoscalers do, but Ray's own does not."""
        group = autoscaler_pb2.NodeGroupConfig(name="more", resources={"CPU": cpus}, max_count=most)
        config = autoscaler_pb2.ClusterConfig(node_group_configs=[group])
        self._gcs.report_cluster_config(config.SerializeToString())

    def shutdown(self) -> None:
        """With the nodes that it started, which are the autoscaler's children and would outlive it by a minute."""
        (autoscaler,) = self.cluster.head_node.all_processes["monitor"]
        started = descendants(autoscaler.process.pid)
        autoscaler.process.terminate()
        autoscaler.process.wait(60)
        for process in started:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.cluster.shutdown()


def _config(address: str, most: int, cpus: int) -> dict[str, Any]:
    provider = {
        "type": "fake_multinode",
        "gcs_address": address,
        "head_node_id": FAKE_HEAD_NODE_ID,
        "use_node_id_as_ip": True,  # the nodes share one
        "disable_node_updaters": True,
        "disable_launch_config_check": True,
    }
    more = {"resources": {"CPU": cpus, "object_store_memory": 100 << 20}, "min_workers": 0, "max_workers": most}
    nothing = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray")
    return {
        "cluster_name": "growing",
        "max_workers": most,
        "idle_timeout_minutes": 10,
        "upscaling_speed": 1,
        "provider": provider,
        "available_node_types": {
            HEAD: {"resources": {"CPU": 1}, "node_config": {}, "max_workers": 0},
            "more": {**more, "node_config": {}},
        },
        "head_node_type": HEAD,
        "auth": {},
        "docker": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        "file_mounts_sync_continuously": False,
        "rsync_exclude": [],
        "rsync_filter": [],
        **{f"{name}_commands": [] for name in nothing},
    }
