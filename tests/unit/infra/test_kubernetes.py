"""infra/kubernetes: every object against Kubernetes' own schema, and every name one file says of another."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
import pytest
import yaml

from repository import ROOT

INFRA = ROOT / "infra"
FOLDER = INFRA / "kubernetes"
KUBERNETES = "1.34"
Object = Mapping[str, Any]

STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}
COUNT = {"type": "integer", "minimum": 0}
POD = {"type": "object", "required": ["spec"]}
RESOURCES = {"type": "object", "properties": {"requests": {}, "limits": {}}, "additionalProperties": False}
GROUP = {"rayStartParams": STRINGS, "template": POD, "resources": STRINGS, "labels": STRINGS}
WORKERS = {
    **GROUP,
    "groupName": {"type": "string", "pattern": "^[a-z0-9-]+$"},
    **dict.fromkeys(("replicas", "minReplicas", "maxReplicas", "numOfHosts", "idleTimeoutSeconds"), COUNT),
}
AUTOSCALER = {
    "idleTimeoutSeconds": COUNT,
    "resources": RESOURCES,
    "upscalingMode": {"enum": ["Default", "Conservative"]},
}
CLUSTER = {
    "type": "object",
    "required": ["rayVersion", "authOptions", "headGroupSpec", "workerGroupSpecs"],
    "additionalProperties": False,
    "properties": {
        "rayVersion": {"type": "string"},
        "enableInTreeAutoscaling": {"type": "boolean"},
        "autoscalerOptions": {"properties": AUTOSCALER, "additionalProperties": False},
        "authOptions": {
            "properties": {"mode": {"enum": ["token"]}, "secretName": {"type": "string"}},
            "required": ["mode", "secretName"],
            "additionalProperties": False,
        },
        "headGroupSpec": {"properties": GROUP, "required": ["template"], "additionalProperties": False},
        "workerGroupSpecs": {
            "items": {"properties": WORKERS, "required": ["groupName", "template"], "additionalProperties": False}
        },
    },
}
JOB = {
    "type": "object",
    "required": ["entrypoint", "rayClusterSpec"],
    "additionalProperties": False,
    "properties": {
        "entrypoint": {"type": "string"},
        "backoffLimit": COUNT,
        "shutdownAfterJobFinishes": {"type": "boolean"},
        "ttlSecondsAfterFinished": COUNT,
        "submitterPodTemplate": POD,
        "rayClusterSpec": CLUSTER,
    },
}
"""The fields of KubeRay 1.6 that are used here, with their types: its own schema is in no package registry."""


def objects(file: str) -> list[Object]:
    return list(yaml.safe_load_all((FOLDER / file).read_text()))


FILES = sorted(p.name for p in FOLDER.glob("*.yaml") if p.name != "kustomization.yaml")
ALL = [(file, each) for file in FILES for each in objects(file)]
OURS = [pytest.param(each, id=f"{file}:{each['kind']}") for file, each in ALL]


def pod_templates() -> Iterator[tuple[str, Object]]:
    for file, each in ALL:
        spec = each.get("spec", {})
        if "template" in spec:
            yield f"{file}:{each['kind']}", spec["template"]
        cluster = spec.get("rayClusterSpec", spec)
        for group in [cluster.get("headGroupSpec"), *cluster.get("workerGroupSpecs", [])]:
            if group:
                yield f"{file}:{group.get('groupName', 'head')}", group["template"]
        if "submitterPodTemplate" in spec:
            yield f"{file}:submitter", spec["submitterPodTemplate"]


PODS = [pytest.param(template, id=name) for name, template in pod_templates()]


def check(data: Object) -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    kubernetes_validate.validate(data, KUBERNETES, strict=True)


@pytest.mark.parametrize("each", OURS)
def test_an_object_is_what_its_kind_allows(each: Object) -> None:
    if each["apiVersion"] == "ray.io/v1":
        jsonschema.validate(each["spec"], {"RayCluster": CLUSTER, "RayJob": JOB}[each["kind"]])
        check({"apiVersion": "v1", "kind": "ConfigMap", "metadata": each["metadata"]})
    else:
        check(each)


@pytest.mark.parametrize("pod", PODS)
def test_a_pod_is_what_kubernetes_allows_and_runs_without_rights(pod: Object) -> None:
    check({"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "any"}, "template": pod})
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    for container in pod["spec"]["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert "latest" not in container["image"]
        assert ":" in container["image"], "a version is named"
        assert container["resources"]["limits"]["memory"], "one pod cannot take a machine's memory"
        mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
        claimed = {c["metadata"]["name"] for _, o in ALL for c in o.get("spec", {}).get("volumeClaimTemplates", [])}
        assert mounted <= {volume["name"] for volume in pod["spec"].get("volumes", [])} | claimed


@pytest.mark.parametrize("pod", PODS)
def test_secrets_that_a_pod_reads_exist(pod: Object) -> None:
    there = {each["metadata"]["name"]: each["stringData"] for each in objects("secrets.example.yaml")}
    for container in pod["spec"]["containers"]:
        for source in container.get("envFrom", []):
            assert source["secretRef"]["name"] in there
        for variable in container.get("env", []):
            if "valueFrom" in variable:
                reference = variable["valueFrom"]["secretKeyRef"]
                assert reference["key"] in there[reference["name"]]


def test_services_and_policies_select_pods_that_there_are() -> None:
    labels = [p.get("metadata", {}).get("labels", {}) for _, p in pod_templates()]
    labels.append({"ray.io/is-ray-node": "yes"})  # the operator's, on every pod of a Ray cluster
    selectors = []
    for _, each in ALL:
        spec = each.get("spec", {})
        if each["kind"] == "Service":
            selectors.append(spec["selector"])
        if each["kind"] in ("Deployment", "StatefulSet"):
            assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
        if each["kind"] == "NetworkPolicy":
            peers = [peer for rule in spec.get("ingress", []) for peer in rule["from"] if "podSelector" in peer]
            selectors += [p.get("matchLabels", {}) for p in [spec["podSelector"], *(q["podSelector"] for q in peers)]]
    for selector in selectors:
        assert any(selector.items() <= each.items() for each in labels), selector


def test_ports_that_are_called_are_those_that_are_served() -> None:
    served = {e["metadata"]["name"]: e["spec"]["ports"][0]["port"] for _, e in ALL if e["kind"] == "Service"}
    for _, pod in pod_templates():
        for container in pod["spec"]["containers"]:
            for variable in container.get("env", []):
                if variable.get("value", "").startswith("http://"):
                    host, _, port = variable["value"].removeprefix("http://").partition(":")
                    assert served[host] == int(port)
    let_through = {rule["port"] for _, e in ALL if e["kind"] == "NetworkPolicy" for r in e["spec"].get("ingress", [])
                   for rule in r.get("ports", [])}  # fmt: skip
    assert let_through == {8265, *served.values()}


def test_a_job_s_cluster_is_the_one_that_stays() -> None:
    (cluster,), (job,) = objects("ray-cluster.yaml"), objects("ray-job.yaml")
    assert job["spec"]["rayClusterSpec"] == cluster["spec"]
    for group, machine in zip(cluster["spec"]["workerGroupSpecs"], ("p3.16xlarge", "p3dn.24xlarge"), strict=True):
        assert group["minReplicas"] == 0, "no GPU is paid for while no sweep asks for one"
        pod = group["template"]["spec"]
        assert pod["nodeSelector"] == {"node.kubernetes.io/instance-type": machine}
        (worker,) = pod["containers"]
        assert worker["resources"]["limits"]["nvidia.com/gpu"] == "8"
    assert group["maxReplicas"] == 0, "Ray would give a stage that needs 32 GB either kind"
    assert cluster["spec"]["authOptions"]["secretName"] in {
        s["metadata"]["name"] for s in objects("secrets.example.yaml")
    }


@pytest.mark.parametrize("file", ["ray-cluster.yaml", "ray-job.yaml"])
def test_a_worker_that_must_go_is_given_its_grace_period_to_save(file: str) -> None:
    from ray._private import ray_constants

    name = "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"
    (each,) = objects(file)
    for group in each["spec"].get("rayClusterSpec", each["spec"])["workerGroupSpecs"]:
        pod = group["template"]["spec"]
        (told,) = [v["value"] for v in pod["containers"][0]["env"] if v["name"] == name]
        assert getattr(ray_constants, name) < float(told), "or it need not be set"
        assert 5 <= pod["terminationGracePeriodSeconds"] - float(told) <= 20, "Ray ends its processes in a few seconds"


def test_kustomize_puts_everything_but_secrets_and_jobs_into_one_namespace() -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("needs kubectl")
    built = subprocess.run([kubectl, "kustomize", str(FOLDER)], capture_output=True, text=True)
    if built.returncode and "unknown command" in built.stderr:
        pytest.skip("needs a kubectl that knows kustomize")
    assert built.returncode == 0, built.stderr
    made = [(o["kind"], o["metadata"]["name"]) for o in yaml.safe_load_all(built.stdout)]
    wanted = [o for file, o in ALL if file not in ("secrets.example.yaml", "ray-job.yaml")]
    assert sorted(made) == sorted((o["kind"], o["metadata"]["name"]) for o in wanted)
    assert {o["metadata"]["namespace"] for o in yaml.safe_load_all(built.stdout)} == {"assay"}


def test_secrets_are_made_anew_each_time_and_none_is_in_the_files() -> None:
    printed = [
        subprocess.run([FOLDER / "secrets.sh"], capture_output=True, text=True, check=True).stdout for _ in range(2)
    ]
    first, second = (list(yaml.safe_load_all(text)) for text in printed)
    for template, one, other in zip(objects("secrets.example.yaml"), first, second, strict=True):
        check(one)
        for key, value in template["stringData"].items():
            if value == "CHANGE-ME":
                assert len(one["stringData"][key]) == 64
                assert one["stringData"][key] != other["stringData"][key]
            else:
                assert one["stringData"][key] == value in ("admin", "assay"), "a name, not a password"
