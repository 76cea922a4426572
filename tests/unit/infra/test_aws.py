"""infra/aws: Ray's own check of a cluster's config, AWS's schema for a machine, and what the two files say together."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from repository import ROOT

FOLDER = ROOT / "infra" / "aws"


def load(file: str) -> Any:
    """CloudFormation's !Ref and the like become {"Ref": …}."""

    class Loader(yaml.SafeLoader):
        pass

    def short(loader: yaml.SafeLoader, suffix: str, node: yaml.ScalarNode) -> dict[str, str]:
        return {suffix: loader.construct_scalar(node)}

    Loader.add_multi_constructor("!", short)
    return yaml.load((FOLDER / file).read_text(), Loader)


@pytest.fixture(scope="module")
def cluster() -> dict[str, Any]:
    """With what Ray adds to it before it starts anything, and as Ray accepts it."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(load("v100.yaml"))
    validate_config(prepared)
    return prepared


def test_ray_accepts_it_and_starts_no_gpu_by_itself(cluster: dict[str, Any]) -> None:
    types = cluster["available_node_types"]
    assert types[cluster["head_node_type"]]["max_workers"] == 0
    assert (types["v100"]["min_workers"], types["v100"]["resources"]["GPU"]) == (0, 8)


def test_a_machine_is_asked_for_as_aws_expects_it(cluster: dict[str, Any]) -> None:
    session = pytest.importorskip("botocore.session").get_session()
    from botocore.validate import ParamValidator

    shape = session.get_service_model("ec2").operation_model("RunInstances").input_shape
    for each in cluster["available_node_types"].values():
        report = ParamValidator().validate({**each["node_config"], "MinCount": 1, "MaxCount": 1}, shape)
        assert not report.has_errors(), report.generate_report()
    v100 = cluster["available_node_types"]["v100"]["node_config"]
    assert (v100["InstanceType"], v100["InstanceMarketOptions"]["MarketType"]) == ("p3.16xlarge", "spot")
    larger = cluster["available_node_types"]["v100_32gb"]
    assert larger["node_config"] == {**v100, "InstanceType": "p3dn.24xlarge"}
    assert larger["max_workers"] == 0, "Ray would give a stage that needs 32 GB either kind"


def test_only_ssh_is_open_to_the_world_and_the_cluster_asks_for_a_token(cluster: dict[str, Any]) -> None:
    opened = cluster["provider"]["security_group"]["IpPermissions"]
    assert [(each["FromPort"], each["ToPort"]) for each in opened] == [(22, 22)]
    assert "~/.ray/auth_token" in cluster["file_mounts"]
    assert not any("dashboard-host" in command for command in cluster["head_start_ray_commands"])
    assert "RAY_AUTH_MODE=token" in (FOLDER / "setup.sh").read_text()


def test_machines_are_set_up_by_our_script_with_the_build_that_suits_them(cluster: dict[str, Any]) -> None:
    assert cluster["head_setup_commands"][-1] == "bash ~/assay/setup.sh cpu"
    assert cluster["worker_setup_commands"][-1] == "bash ~/assay/setup.sh cu126"
    readme = (ROOT / "infra" / "README.md").read_text()
    assert cluster["file_mounts"]["~/assay"] in readme, "what is copied is made by a command that is told"


def test_its_machines_have_the_roles_that_the_account_s_template_makes(cluster: dict[str, Any]) -> None:
    resources = load("account.yaml")["Resources"]
    made = {
        each["Properties"]["InstanceProfileName"]
        for each in resources.values()
        if each["Type"] == "AWS::IAM::InstanceProfile"
    }
    wanted = {e["node_config"]["IamInstanceProfile"]["Name"] for e in cluster["available_node_types"].values()}
    assert wanted == made
    policies = resources["HeadRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    (guard,) = [each["Condition"]["StringEquals"] for each in policies if "ec2:TerminateInstances" in each["Action"]]
    assert guard == {"aws:ResourceTag/ray-cluster-name": cluster["cluster_name"]}
    image = cluster["available_node_types"]["v100"]["node_config"]["ImageId"].removeprefix("resolve:ssm:")
    (ssm,) = [each["Resource"]["Sub"] for each in policies if "ssm:GetParameters" in each["Action"]]
    assert image.startswith(ssm.partition("parameter")[2].rstrip("*"))


def test_the_template_refers_only_to_what_it_has() -> None:
    template = load("account.yaml")
    names = {*template["Resources"], *template["Parameters"]}

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [str(value[key]).split(".")[0] for key in ("Ref", "GetAtt") if key in value]
            return own + [each for inner in value.values() for each in references(inner)]
        return [each for inner in value for each in references(inner)] if isinstance(value, list) else []

    found = references(template["Resources"])
    assert found
    assert set(found) <= names
