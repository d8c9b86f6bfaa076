#!/usr/bin/env python3
"""Holds the resolved dependencies against deny.toml (licences, bans) and the rooms against each other.

`cargo deny` does the first two better and takes longer to build than the whole workspace; this needs Python 3.11 only.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Which of the workspace's own packages a package may use: the rooms know the words and nothing else.
OWN = {
    "hydrant-model": set(),
    "hydrant-sinks": {"hydrant-model"},
    "hydrant-transforms": {"hydrant-model"},
    "hydrant": {"hydrant-model", "hydrant-sinks", "hydrant-transforms"},
    "hydrant-fuzz": {"hydrant-model", "hydrant-transforms", "hydrant"},
}


def main() -> int:
    rules = tomllib.loads((ROOT / "deny.toml").read_text())
    packages, edges, members = resolved(rules["graph"]["targets"])
    faults = (
        unlicensed(packages, set(rules["licenses"]["allow"]))
        + banned(packages, edges, rules["bans"]["deny"])
        + misplaced(packages, edges, members)
    )
    print("\n".join(faults), file=sys.stderr)
    print(f"dependencies: {len(packages)} packages, {len(faults)} faults")
    return 1 if faults else 0


def resolved(targets: list[str]) -> tuple[dict, dict, set]:
    """Packages by id, the ids each one uses, and the workspace's own, over all targets."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    for target in targets:
        command += ["--filter-platform", target]
    graph = json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)
    edges = {node["id"]: node["dependencies"] for node in graph["resolve"]["nodes"]}
    packages = {package["id"]: package for package in graph["packages"] if package["id"] in edges}
    return packages, edges, set(graph["workspace_members"])


def unlicensed(packages: dict, allowed: set[str]) -> list[str]:
    faults = []
    for package in packages.values():
        licence = package["license"]
        if licence is None or not permits(licence, allowed):
            faults.append(f"{title(package)}: its licence is {licence}, which deny.toml does not allow")
    return faults


def permits(expression: str, allowed: set[str]) -> bool:
    """Whether an SPDX expression can be satisfied; `/` is the old way to write OR."""
    words = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))

    def either() -> bool:
        met = both()
        while words and words[0] == "OR":
            words.pop(0)
            met = both() or met
        return met

    def both() -> bool:
        met = one()
        while words and words[0] == "AND":
            words.pop(0)
            met = one() and met
        return met

    def one() -> bool:
        word = words.pop(0)
        if word == "(":
            met = either()
            words.pop(0)
            return met
        if words and words[0] == "WITH":
            del words[:2]  # an exception only ever permits more
        return word in allowed

    met = either()
    if words:
        raise ValueError(f"no SPDX expression: {expression}")
    return met


def banned(packages: dict, edges: dict, bans: list[dict]) -> list[str]:
    faults = []
    for ban in bans:
        name, _, below = ban["crate"].partition("@<")
        for package in packages.values():
            if package["name"] == name and (not below or version(package["version"]) < version(below)):
                users = [title(packages[user]) for user, used in edges.items() if package["id"] in used]
                faults.append(f"{title(package)}: banned by deny.toml; used by {', '.join(users)}")
    return faults


def version(text: str) -> list[int]:
    return [int(number) for number in re.split(r"[-+]", text)[0].split(".")]


def misplaced(packages: dict, edges: dict, members: set[str]) -> list[str]:
    faults = []
    for member in members:
        name = packages[member]["name"]
        if name not in OWN:
            faults.append(f"{name}: .ci/dependencies.py does not say what it may use")
            continue
        used = {packages[other]["name"] for other in edges[member] if other in members}
        faults += [f"{name} uses {other}, which is not its to know" for other in sorted(used - OWN[name])]
    return faults


def title(package: dict) -> str:
    return f"{package['name']} {package['version']}"


if __name__ == "__main__":
    sys.exit(main())
