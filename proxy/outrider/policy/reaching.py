"""What a grant that only reads could change all the same (GOVERNANCE §3).

Three ways lead from reading to writing: an entry that counts as milder than what it describes, a
tool that calls others, and another agent whom this one may hand its task to.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from outrider.core.globs import parse_glob
from outrider.core.grant import Grant
from outrider.core.jsonvalue import JsonObject, as_list, as_object
from outrider.core.vocabulary import ActionEffect
from outrider.policy.flow import Place, Subject, covered, placed
from outrider.policy.manifest_lint import Lists, looks_like_meta, weaker
from outrider.policy.release import Release


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """A way from a grant that only reads to a change; `path` begins with the grant's name."""

    path: tuple[str, ...]
    why: str


def only_reads(grant: Grant) -> bool:
    return grant.effects == frozenset({ActionEffect.READ})


def reaches(subject: Subject, release: Release, lists: Lists, now_unix_s: float) -> list[Reach]:
    """Every way in which the reading grant of `subject` reaches a change, shortest first."""
    if not only_reads(subject.grant):
        return []
    manifest = placed(release.manifest, subject.grant)
    found: list[Reach] = []
    for place in covered(subject.grant, manifest, now_unix_s):
        found += _through(subject, place, release, lists)
    found += _handed_on(subject, release)
    return sorted(found, key=lambda one: (len(one.path), one.path))


def _through(subject: Subject, place: Place, release: Release, lists: Lists) -> Iterator[Reach]:
    ask = place.action.ask
    kind, entry = _said(release, place)
    known = as_object(lists.get(ask.upstream, {}).get(ask.resource))
    for why in weaker(f"{kind}.{ask.operation or ask.resource}", entry, known):
        yield Reach(path=(subject.name, place.name), why=why)
    if looks_like_meta(entry, known):
        why = "it calls what its arguments name and counts as read: give it `unwrap`"
        yield Reach(path=(subject.name, place.name, "any tool behind it"), why=why)
    if "spawn" in place.action.tags:
        why = "it starts another agent, whose grant is not this one"
        yield Reach(path=(subject.name, place.name, "what it starts"), why=why)


def _said(release: Release, place: Place) -> tuple[str, JsonObject]:
    ask = place.action.ask
    upstream = as_object(release.manifest.document.get(ask.upstream))
    kind = "tools" if ask.operation is None else "operations"
    entries = as_object(upstream.get(kind))
    return kind, as_object(entries.get(ask.operation or ask.resource))


def _handed_on(subject: Subject, release: Release) -> Iterator[Reach]:
    delegation = as_object(subject.grant.document.get("delegation"))
    globs = [parse_glob(str(pattern)) for pattern in as_list(delegation.get("to"))]
    if not delegation.get("depth"):
        return
    for name, entry in release.agents.items():
        standing = entry.grant
        if name == subject.agent or standing is None or entry.status != "active":
            continue
        if any(glob.matches(name) for glob in globs) and not only_reads(standing):
            does = ", ".join(
                sorted(effect.value for effect in standing.effects - {ActionEffect.READ})
            )
            why = f"it may be asked on, and its own standing grant allows {does}"
            yield Reach(path=(subject.name, f"agent {name}", does), why=why)
