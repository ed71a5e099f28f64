"""Builds every overlay as `kubectl kustomize` does, and holds what comes out against what the server takes."""

import os
import pathlib
import re
import subprocess
import sys

import yaml

SERVER = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "debug/engine-server"


def run(*command, env=None):
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def expect(is_so, what):
    if not is_so:
        sys.exit(what)


def variables(container):
    """The variables a container gets, those within others replaced as a kubelet does."""
    values = {}
    for entry in container.get("env", []):
        value = entry.get("value", "10.1.2.3")
        values[entry["name"]] = re.sub(r"\$\((\w+)\)", lambda name: values[name[1]], value)
    return values


def check(overlay):
    objects = list(yaml.safe_load_all(run("kubectl", "kustomize", overlay)))

    def of_kind(*kinds):
        return [found for found in objects if found["kind"] in kinds]

    (deployment,) = of_kind("Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    # What the server is started with it has to take.
    run(SERVER, *container["args"], "--check", env=variables(container))
    # Selectors find the pods, and named ports are there.
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    ports = {port["name"] for port in container["ports"]}
    for service in of_kind("Service"):
        expect(service["spec"]["selector"].items() <= labels, f"{overlay}: a Service selects nothing")
        expect({port["port"] for port in service["spec"]["ports"]} == {80, 8001}, f"{overlay}: not ports 80 and 8001")
        expect({port["targetPort"] for port in service["spec"]["ports"]} <= ports, f"{overlay}: no such port")
    for found in of_kind("PodDisruptionBudget", "NetworkPolicy"):
        selector = found["spec"].get("selector") or found["spec"]["podSelector"]
        expect(selector["matchLabels"].items() <= labels, f"{overlay}: a {found['kind']} selects nothing")
    # The pod keeps to the restricted standard, and writes nothing outside its volumes.
    rights = container["securityContext"]
    expect(pod["securityContext"]["runAsNonRoot"] and rights["readOnlyRootFilesystem"], f"{overlay}: may write")
    expect(not rights["allowPrivilegeEscalation"] and rights["capabilities"]["drop"] == ["ALL"], f"{overlay}: rights")
    # Whoever is bound is there.
    accounts = {found["metadata"]["name"] for found in of_kind("ServiceAccount")}
    expect(pod["serviceAccountName"] in accounts, f"{overlay}: no such ServiceAccount")
    for binding in of_kind("RoleBinding", "ClusterRoleBinding"):
        expect(all(subject["name"] in accounts for subject in binding["subjects"]), f"{overlay}: bound to nobody")
    print(f"{overlay}: {len(objects)} objects")


for folder in sorted(pathlib.Path("deploy/kustomize/overlays").iterdir()):
    check(folder)

example = pathlib.Path("deploy/examples/three-flavours.yaml")
objects = list(yaml.safe_load_all(example.read_text()))
flavours = [found for found in objects if "carbonstat.precision" in found["metadata"].get("labels", {})]
expect(len(flavours) == 3 and objects[0]["kind"] == "TrafficSchedule", f"{example}: not a schedule and three flavours")
print(f"{example}: {len(objects)} objects")
