"""Whether a container or volume that stands in a pod is the one we would add.

Laws: by content, never by name; only what the API server's own admission adds to every container
is let pass (the automounted token's mount, resources of a LimitRange, AlwaysPullImages), and
quantities count by amount, because they come back in another spelling.
"""

from collections.abc import Iterable

from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.injector.names import TOKEN_PATH, TOKEN_VOLUME_PREFIX
from outrider.injector.quantity import equal


def same_container(
    found: JsonObject, ours: JsonObject, tokens: frozenset[str] = frozenset()
) -> str | None:
    """None where `found` is ours; else the first field that differs. `tokens` are the volumes of
    the pod that the API server would have added for the service account's token."""
    for field in sorted({*found, *ours}):
        if not _same_field(field, found.get(field), ours.get(field), tokens):
            return field
    return None


def token_volumes(volumes: Iterable[JsonObject]) -> frozenset[str]:
    """Names of the volumes that carry the automounted token, and nothing of an author's."""
    return frozenset(
        str(volume["name"])
        for volume in volumes
        if str(volume.get("name")).startswith(TOKEN_VOLUME_PREFIX) and _is_token_volume(volume)
    )


def _is_token_volume(volume: JsonObject) -> bool:
    sources = as_list(as_object(volume.get("projected")).get("sources"))
    return bool(sources) and all(_is_token_source(as_object(source)) for source in sources)


def _is_token_source(source: JsonObject) -> bool:
    match source:
        case {"serviceAccountToken": dict() as token}:
            return len(source) == 1 and not token.get("audience")
        case {"configMap": {"name": "kube-root-ca.crt"}} | {"downwardAPI": dict()}:
            return len(source) == 1
        case _:
            return False


def same_volume(found: JsonObject, ours: JsonObject) -> bool:
    size, our_size = _size_limit(found), _size_limit(ours)
    if size is not None and our_size is not None and equal(size, our_size):
        found = {**found, "emptyDir": {**as_object(found["emptyDir"]), "sizeLimit": our_size}}
    return found == ours


def _size_limit(volume: JsonObject) -> Json:
    return as_object(volume.get("emptyDir")).get("sizeLimit")


def _same_field(field: str, found: Json, ours: Json, tokens: frozenset[str]) -> bool:
    match field:
        case "imagePullPolicy":
            return found in (ours, "Always")
        case "resources":
            return _same_resources(found, as_object(ours))
        case "volumeMounts":
            kept = [mount for mount in as_list(found) if not _is_token_mount(mount, tokens)]
            return kept == as_list(ours)
        case _:
            return found == ours


def _is_token_mount(mount: Json, tokens: frozenset[str]) -> bool:
    body = as_object(mount)
    name = body.get("name")
    return (
        isinstance(name, str)
        and name in tokens
        and body == {"name": name, "readOnly": True, "mountPath": TOKEN_PATH}
    )


def _same_resources(found: Json, ours: JsonObject) -> bool:
    """Ours are all there; a LimitRange may have added others."""
    if not isinstance(found, dict) or set(found) - {"requests", "limits"}:
        return False
    for part in ("requests", "limits"):
        have, want = as_object(found.get(part)), as_object(ours.get(part))
        if not all(name in have and equal(have[name], amount) for name, amount in want.items()):
            return False
    return True
