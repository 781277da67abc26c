"""The load gate: what a release must be before anybody is judged by it (POLICY §4.5, PEERS P05).

Law: what an engine would notice only when it gets there, or never, is noticed here, with file and
line; anything found refuses the release whole.
"""

from pathlib import Path as File
from typing import Final

from outrider.core.errors import ConfigError
from outrider.policy.calls import check_calls, check_names, check_recursion
from outrider.policy.composition import check_composition, check_entrypoint, check_paths
from outrider.policy.inputs import check_inputs, reads
from outrider.policy.negation import check_negations
from outrider.policy.release import Release
from outrider.policy.syntax import Path, parse
from outrider.policy.world import Language, Problem, World, read_language, world_of

_SHOWN: Final = 5


class LoadGate:
    """Call it with a release: it gives the input paths the release reads (`inputs.reads`), or
    raises `ConfigError`. Safe on any thread."""

    def __init__(self, *, language: Language, entrypoint: str) -> None:
        self.language: Final = language
        self._entrypoint = entrypoint

    def __call__(self, release: Release) -> frozenset[Path]:
        world = world_of(parse(release.modules), self.language)
        found = self._problems(world, release)
        if not found:
            return reads(world)
        more = f" (and {len(found) - _SHOWN} more)" if len(found) > _SHOWN else ""
        raise ConfigError("; ".join(str(problem) for problem in found[:_SHOWN]) + more)

    def problems(self, release: Release) -> list[Problem]:
        """All that is wrong with the release, by file and line. Raises `ConfigError` for what
        does not even parse."""
        return self._problems(world_of(parse(release.modules), self.language), release)

    def _problems(self, world: World, release: Release) -> list[Problem]:
        found = [
            *check_entrypoint(world, self._entrypoint),
            *check_calls(world),
            *check_names(world),
            *check_recursion(world),
            *check_inputs(world),
            *check_negations(world),
            *check_composition(world),
            *check_paths(world, release.data),
        ]
        return sorted(set(found), key=lambda problem: (problem.file, problem.line, problem.message))


def shipped_gate(folder: File, entrypoint: str) -> LoadGate:
    """The gate by the language of the library in `folder`. Blocking; raises `ConfigError`."""
    return LoadGate(language=read_language(folder), entrypoint=entrypoint)
