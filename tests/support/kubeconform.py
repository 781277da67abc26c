"""kubeconform, by `go install` where Go is; schemas of Kubernetes from the wheel we test with.

No test installs anything: `python -m tests.support.prepare kubeconform` does.
"""

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

import kubernetes_validate
import orjson

from outrider.config.load import cache_dir

VERSION: Final = "v0.7.0"
CRDS: Final = Path(__file__).parents[1] / "chart" / "crds"
_MODULE: Final = f"github.com/yannh/kubeconform/cmd/kubeconform@{VERSION}"
_SCHEMAS: Final = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
_WAIT_S: Final = 120.0


class UnavailableError(Exception):
    """No kubeconform here; the text says why."""


def _place() -> Path:
    return cache_dir(os.environ) / f"kubeconform-{VERSION}" / "kubeconform"


def find() -> Path:
    """Its path. Raises `UnavailableError`."""
    if not os.access(_place(), os.X_OK):
        raise UnavailableError("no kubeconform: python -m tests.support.prepare kubeconform")
    return _place()


def install() -> Path:
    """Built by Go, whose checksum database holds the module. Raises `UnavailableError`."""
    go = shutil.which("go")
    if go is None:
        raise UnavailableError("no Go here, which builds kubeconform")
    environment = {**os.environ, "GOBIN": str(_place().parent), "GOFLAGS": "-trimpath"}
    try:
        subprocess.run(
            [go, "install", _MODULE], env=environment, capture_output=True, timeout=600, check=True
        )
    except (OSError, subprocess.SubprocessError) as fault:
        raise UnavailableError(f"{_MODULE} cannot be built: {fault}") from fault
    return find()


@cache
def _schemas(kubernetes: str) -> Path:
    """The wheel's schemas, without the addresses that would send kubeconform to the network."""
    source = _SCHEMAS / f"v{kubernetes}.0-local-strict"
    place = _place().parent / f"schemas-{kubernetes_validate.__version__}-{kubernetes}"
    if place.exists():
        return place
    with tempfile.TemporaryDirectory(dir=_place().parent) as folder:
        part = Path(folder) / "part"
        part.mkdir()
        for path in source.glob("*.json"):
            content = path.read_bytes().replace(b'"/api/_definitions.json', b'"_definitions.json')
            schema = orjson.loads(content)
            schema.pop("$id", None)
            (part / path.name).write_bytes(orjson.dumps(schema))
        part.rename(place)
    return place


def check(rendered: str, kubernetes: str) -> subprocess.CompletedProcess[str]:
    """All objects of `rendered`, strictly, as `kubernetes` (1.34) has them. No network."""
    theirs = f"{_schemas(kubernetes)}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json"
    own = f"{CRDS}/{{{{ .ResourceKind }}}}_{{{{ .ResourceAPIVersion }}}}.json"
    command = [
        str(find()), "-strict", "-summary", "-kubernetes-version", f"{kubernetes}.0",
        "-schema-location", theirs, "-schema-location", own, "-",
    ]  # fmt: skip
    return subprocess.run(
        command, input=rendered, capture_output=True, text=True, timeout=_WAIT_S, check=False
    )
