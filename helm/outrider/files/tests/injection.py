"""Creates a labelled pod for show (`dryRun=All`) and looks at what the injector made of it."""

import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
NAMESPACE = os.environ["TEST_NAMESPACE"]
DRIVER = os.environ.get("TEST_CSI_DRIVER", "")
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"generateName": "outrider-test-", "labels": json.loads(os.environ["TEST_LABELS"])},
    "spec": {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsUser": 1000},
        "containers": [{"name": "agent", "image": "registry.invalid/agent:0"}],
    },
}


def ask(path: str, body: object = None) -> dict:
    """One call of the API server. Ends the test with its words where it refuses."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    shown = f"[{host}]" if ":" in host else host
    request = urllib.request.Request(
        f"https://{shown}:{port}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": "Bearer " + (ACCOUNT / "token").read_text("utf-8"),
            "Content-Type": "application/json",
        },
    )
    trust = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    try:
        with urllib.request.urlopen(request, context=trust, timeout=30) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as fault:
        sys.exit(f"{path}: {fault.code} {fault.read(2000).decode(errors='replace')}")


def main() -> None:
    """Exits with the fault, or says that all is well."""
    if DRIVER:
        ask(f"/apis/storage.k8s.io/v1/csidrivers/{DRIVER}")
    pod = ask(f"/api/v1/namespaces/{NAMESPACE}/pods?dryRun=All", POD)
    sidecars = [
        one
        for one in pod["spec"].get("initContainers", [])
        if one["name"] == "outrider" and one.get("restartPolicy") == "Always"
    ]
    if len(sidecars) != 1:
        sys.exit(f"a labelled pod in {NAMESPACE} came back without the sidecar: is it excluded?")
    if pod["metadata"]["labels"].get("outrider.dev/injected") != "true":
        sys.exit("the sidecar is there, but the label outrider.dev/injected is not")
    print(f"injected: {sidecars[0]['image']}")


main()
