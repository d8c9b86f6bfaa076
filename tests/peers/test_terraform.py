"""Terraform with the AWS provider: Describe must say exactly what Create and Update were given, or a plan is never empty."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MIRRORS = ["/opt", "/usr/local/share", "/usr/share", str(Path.home())]


def mirror() -> Path | None:
    """A folder of providers on this machine: no registry is asked."""
    for place in MIRRORS:
        for found in sorted(Path(place).glob("*/registry.terraform.io/hashicorp/aws")):
            return found.parents[2]
    return None


@pytest.fixture
def terraform(hydrant, minio, tmp_path):
    """Runs terraform on the configuration beside this file."""
    binary = shutil.which("terraform")
    providers = mirror()
    if binary is None or providers is None:
        pytest.skip("no terraform with a mirror of the AWS provider on this machine")
    functions = "http://127.0.0.1:9"  # asked for nothing here
    service = hydrant(minio, create_buckets=True, lambda_endpoint=functions)
    settings = tmp_path / "terraformrc"
    settings.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{providers}"\n  }}\n}}\n')
    folder = tmp_path / "terraform"
    shutil.copytree(Path(__file__).parent / "terraform", folder)
    env = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "TF_CLI_CONFIG_FILE": str(settings), "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1", "TF_VAR_endpoint": service.url,
    }

    def run(*arguments: str, exits: int = 0) -> str:
        done = subprocess.run(
            [binary, *arguments, "-no-color"], cwd=folder, env=env, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == exits, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    run.service = service
    run("init")
    return run


NO_CHANGES, CHANGES = 0, 2


def test_what_was_applied_is_what_is_planned(terraform):
    """One test, because each command of terraform starts the provider anew, which is slow."""
    api = terraform.service.firehose
    plan = ("plan", "-input=false", "-detailed-exitcode")
    apply = ("apply", "-input=false", "-auto-approve")
    assert "3 to add, 0 to change, 0 to destroy" in terraform(*apply)
    terraform(*plan, exits=NO_CHANGES)
    assert api.list_delivery_streams()["DeliveryStreamNames"] == ["every-member", "processed", "smallest"]

    update = ("-var", "prefix=second/!{timestamp:yyyy}/", "-var", "compression=Snappy", "-var", "megabytes=7", "-var", "team=b")
    assert "0 to add, 3 to change, 0 to destroy" in terraform(*apply, *update)
    terraform(*plan, *update, exits=NO_CHANGES)
    for name in ["every-member", "smallest"]:
        told = api.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
        (destination,) = told["Destinations"]
        assert destination["ExtendedS3DestinationDescription"]["BufferingHints"]["SizeInMBs"] == 7
        assert told["VersionId"] == "2"

    api.delete_delivery_stream(DeliveryStreamName="smallest")
    assert "1 to add, 0 to change, 0 to destroy" in terraform(*plan, *update, exits=CHANGES)
    terraform("destroy", "-input=false", "-auto-approve", *update)
    assert api.list_delivery_streams()["DeliveryStreamNames"] == []
