"""`python -m tests.support.prepare`: the servers that tests need, installed once, with progress.

A word after it prepares that one alone: `opa`, `spire`, `sdks`, `pythons`, `redis`,
`helm` or `prometheus`. Only by their word: `kubeconform`, `containers`, `kubernetes`, `nft`.
"""

import os
import subprocess
import sys
from pathlib import Path

from outrider.cli.demo.spire.programs import VERSION, find_programs
from outrider.config.load import cache_dir
from outrider.config.paths import shipped_spire
from outrider.core.errors import ConfigError
from outrider.policy.opa_install import OpaPlaces, find, install
from tests.support import (
    debian,
    helm as real_helm,
    image,
    interpreters,
    kubeconform as real_kubeconform,
    kubernetes_programs,
    mcp_env,
    netfilter,
    prometheus as watching,
    redis as shared_store,
)
from tests.support.containers import PROGRAMS, fetch_programs


def _say(text: str) -> None:
    print(f"==> {text}", file=sys.stderr, flush=True)


def opa() -> None:
    """The pinned OPA: found, else installed. Tests that need it are skipped where neither works."""
    named = os.environ.get("OUTRIDER_TEST_OPA")
    places = OpaPlaces(
        cache=cache_dir(os.environ),
        search_path=os.environ.get("PATH", ""),
        binary=Path(named) if named else None,
    )
    try:
        found = find(places)
    except ConfigError:
        _say("building the pinned OPA (once; some two minutes)")
        try:
            found = install(places, os.environ)
        except ConfigError as fault:
            _say(f"no OPA, its tests will be skipped: {fault}")
            return
    _say(f"OPA {found.version}: {found.path}")


def sdks() -> None:
    """The official MCP packages that the demo's test runs against."""
    for version in ("2.3.0", "1.30.0"):
        try:
            mcp_env.sdk_python(version, say=_say)
        except mcp_env.UnavailableError as fault:
            _say(f"no mcp {version}, its tests will be skipped: {fault}")


def spire() -> None:
    """SPIRE: found, else built by our installer where Go is. Tests of it are skipped elsewhere."""
    try:
        found = find_programs(os.environ)
    except ConfigError:
        command = [shipped_spire() / "install.sh"]  # says itself what it does, or lacks
        done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            _say("no SPIRE, its tests will be skipped")
            return
        found = find_programs(os.environ)
    _say(f"SPIRE {VERSION}: {found.server.parent}")


def pythons() -> None:
    """The other Pythons of this machine, on which the TLS suite is run too."""
    for version in interpreters.OTHERS:
        try:
            interpreters.make(version, say=_say)
        except interpreters.UnavailableError as fault:
            _say(f"the TLS suite is not run on Python {version}: {fault}")


def redis() -> None:
    """A real Redis: found, else Debian's packages unpacked into the cache."""
    try:
        try:
            command = shared_store.find()
        except shared_store.UnavailableError:
            _say("fetching Debian's redis-server (once)")
            command = shared_store.install()
        _say(f"{shared_store.version(command)}: {command[0]}")
    except shared_store.UnavailableError as fault:
        _say(f"no Redis, its tests will be skipped: {fault}")


def helm() -> None:
    """Helm, of each line the chart is held to."""
    for version in real_helm.VERSIONS:
        try:
            try:
                found = real_helm.find(version)
            except real_helm.UnavailableError:
                _say(f"fetching Helm {version} (once)")
                found = real_helm.install(version)
            _say(f"Helm {version}: {found}")
        except real_helm.UnavailableError as fault:
            _say(f"no Helm {version}, its tests will be skipped: {fault}")


def nft() -> None:
    """nft: found, else Debian's packages unpacked into the cache."""
    try:
        try:
            command = netfilter.find()
        except netfilter.UnavailableError:
            _say("fetching Debian's nftables (once)")
            command = netfilter.install()
        _say(f"{netfilter.version(command)}: {command.path}")
    except netfilter.UnavailableError as fault:
        _say(f"no nft, the tests of capture will be skipped: {fault}")


def prometheus() -> None:
    """Real Prometheus and Alertmanager: found, else Debian's packages unpacked into the cache."""
    try:
        try:
            programs = watching.find()
        except debian.UnavailableError:
            _say("fetching Debian's prometheus and prometheus-alertmanager (once)")
            programs = watching.install()
        for each in (programs.prometheus, programs.alertmanager):
            _say(f"{watching.version(each)}: {each}")
    except debian.UnavailableError as fault:
        _say(f"no Prometheus, its tests will be skipped: {fault}")


def kubeconform() -> None:
    """kubeconform, built where Go is."""
    try:
        try:
            found = real_kubeconform.find()
        except real_kubeconform.UnavailableError:
            _say("building kubeconform (once)")
            found = real_kubeconform.install()
        _say(f"kubeconform {real_kubeconform.VERSION}: {found}")
    except real_kubeconform.UnavailableError as fault:
        _say(f"no kubeconform, its tests will be skipped: {fault}")


def containers() -> None:
    """Podman, containerd and their like, and what our image is built from."""
    try:
        for packages, fetch in ((PROGRAMS, fetch_programs), (image.BASE, image.BASE.fetch)):
            try:
                place = packages.found()
            except debian.UnavailableError:
                _say(f"fetching Debian's packages for {packages.folder} (once)")
                place = fetch()
            _say(f"Debian's packages: {place}")
        _say(f"wheels of the image: {image.fetch_wheels()}")
    except debian.UnavailableError as fault:
        _say(f"no containers, their tests will be skipped: {fault}")


def kubernetes() -> None:
    """Kubernetes' own programs, built by our installer where Go is, and etcd's wheel."""
    try:
        found = kubernetes_programs.prepare()
    except debian.UnavailableError as fault:
        _say(f"no Kubernetes, its tests will be skipped: {fault}")
        return
    _say(f"Kubernetes {kubernetes_programs.VERSION}: {found.api_server.parent}; {found.etcd}")


ALL = {
    "opa": opa,
    "spire": spire,
    "sdks": sdks,
    "pythons": pythons,
    "redis": redis,
    "helm": helm,
    "prometheus": prometheus,
}
"""What the plain suite uses."""
ASKED = {
    "kubeconform": kubeconform,
    "containers": containers,
    "kubernetes": kubernetes,
    "nft": nft,
}
"""What is prepared where it is asked for: minutes, and hundreds of megabytes."""

if __name__ == "__main__":
    for name in sys.argv[1:] or ALL:
        {**ALL, **ASKED}[name]()
