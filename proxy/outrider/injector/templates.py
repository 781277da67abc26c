"""Pods inside manifests: which kinds carry one, and where.

Laws: a manifest that carries no pod stays as it is; one that does gets the verdict that the webhook
would give its pods in a labelled namespace; the manifest that was handed in is not changed.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Final

from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.injector.applying import applied
from outrider.injector.plan import Entry, Plan
from outrider.injector.reading import shown
from outrider.injector.reasons import Outcome
from outrider.injector.verdict import Verdict, judge

NAMESPACE: Final = "default"
_TEMPLATE: Final = ("spec", "template")
_PLACES: Final = {
    ("v1", "Pod"): (),
    ("apps/v1", "Deployment"): _TEMPLATE,
    ("apps/v1", "StatefulSet"): _TEMPLATE,
    ("apps/v1", "DaemonSet"): _TEMPLATE,
    ("apps/v1", "ReplicaSet"): _TEMPLATE,
    ("batch/v1", "Job"): _TEMPLATE,
    ("batch/v1", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One pod or pod template of a manifest: what it is called, and what it was answered."""

    name: str
    verdict: Verdict
    token_warning: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest after injection; `value` is the one handed in where nothing was to be done."""

    value: Json
    judged: tuple[Judged, ...]

    @property
    def is_changed(self) -> bool:
        return any(one.verdict.ops for one in self.judged)


def injected(value: Json, plan: Plan, *, entry: Entry, namespace: str | None) -> Manifest:
    """`value` with every pod in it judged and patched; `namespace` is for those that name none."""
    judged: list[Judged] = []
    patched = _manifest(deepcopy(value), plan, entry, namespace, judged)
    manifest = Manifest(value=patched, judged=tuple(judged))
    return manifest if manifest.is_changed else Manifest(value=value, judged=tuple(judged))


def _manifest(
    value: Json, plan: Plan, entry: Entry, namespace: str | None, judged: list[Judged]
) -> Json:
    """`value`, ours to change, with its pods patched; what they were answered goes to `judged`."""
    body = as_object(value)
    kind = (body.get("apiVersion"), body.get("kind"))
    if kind == ("v1", "List"):
        body["items"] = [
            _manifest(item, plan, entry, namespace, judged) for item in as_list(body.get("items"))
        ]
        return body
    place = _place(kind)
    if place is None:
        return value
    named = as_object(body.get("metadata"))
    space = named.get("namespace") or namespace or NAMESPACE
    holder, pod = _inside(body, place)
    verdict = judge(entry, str(space), pod, plan)
    name = named.get("name") or named.get("generateName") or "?"
    judged.append(
        Judged(
            name=shown(f"{kind[1]} {space}/{name}"),
            verdict=verdict,
            token_warning=_token_warning(pod, str(space), verdict, plan),
        )
    )
    if not verdict.ops or not isinstance(pod, dict):
        return body
    patched = applied(pod, verdict.ops)
    if holder is None:
        return patched
    holder[place[-1]] = patched
    return body


def _place(kind: tuple[Json, Json]) -> tuple[str, ...] | None:
    version, name = kind
    if not isinstance(version, str) or not isinstance(name, str):
        return None
    return _PLACES.get((version, name))


def _inside(body: JsonObject, place: tuple[str, ...]) -> tuple[JsonObject | None, Json]:
    """The pod at `place`, and the object it is a member of; None where the pod is the whole."""
    holder: JsonObject | None = None
    found: Json = body
    for step in place:
        holder = as_object(found)
        found = holder.get(step)
    return holder, found


def _token_warning(pod: Json, namespace: str, verdict: Verdict, plan: Plan) -> str | None:
    """In a file no token is mounted yet: only the API server would add it, and be refused."""
    if verdict.outcome not in {Outcome.INJECTED, Outcome.UNCHANGED}:
        return None
    if verdict.capture_mode is None or namespace in plan.exceptions.agent_secrets:
        return None
    spec = as_object(as_object(pod).get("spec"))
    if spec.get("automountServiceAccountToken") is False:
        return None
    return (
        "spec.automountServiceAccountToken is not false: unless the service account says so, its "
        "token is mounted and the pod is refused (agent_secret)"
    )


def denied(manifests: tuple[Manifest, ...]) -> Iterator[Judged]:
    """Every pod that may not be."""
    for manifest in manifests:
        for one in manifest.judged:
            if one.verdict.outcome in {Outcome.DENIED, Outcome.ERROR}:
                yield one
