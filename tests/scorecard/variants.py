"""The settings that are compared: which controls are on, and what each task is granted.

Laws: a setting is policy data over the shipped library (modes of `data.outrider.rules`, templates)
and the grant that is asked for; no code of the product knows of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import yaml

from tests.scorecard.data import SUITES, Suite, Task
from tests.scorecard.manifest import POLICY

LIBRARY: Final = Path(__file__).resolve().parents[2] / "rego"
AGENT: Final = "spiffe://scorecard.test/agent"
ALL_EFFECTS: Final = ("read", "write", "send", "share", "pay", "delete", "admin", "execute")
DEFAULT_HOLDS: Final = frozenset(
    {"EF-01", "EF-02", "EF-03", "EF-04", "EF-05", "EF-06", "EF-07", "EF-08", "SQ-31"}
)
"""GOVERNANCE §6's own holds, which gate payments and administration by themselves."""
PROVENANCE: Final = frozenset({"PV-01"})
STRICT: Final = frozenset({"PV-01", "PV-02"})
LINKS: Final = frozenset({"PV-01", "PV-05", "SQ-20"})


class Granting(StrEnum):
    """What a task may do at most."""

    BROAD = "broad"
    SCOPE = "scope"
    """The tools of the task's own ground truth: an oracle."""
    TEMPLATE = "template"
    """What `policy/kinds.yaml` says of its kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """`on` are the controls that are enforced, None for all as shipped; `off` are never."""

    name: str
    granting: Granting
    on: frozenset[str] | None = None
    off: frozenset[str] = frozenset()
    limits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def mode(self, code: str, shipped: str) -> str:
        """The mode of a control under this setting."""
        if code in self.off:
            return "off"
        if self.on is None:
            return shipped
        return "enforce" if code in self.on else "off"


NONE: Final = frozenset[str]()
MAIN: Final = (
    Setting(name="none", granting=Granting.BROAD, on=NONE),
    Setting(name="scope", granting=Granting.SCOPE, on=NONE),
    Setting(name="prov", granting=Granting.BROAD, on=PROVENANCE),
    Setting(name="scope+prov", granting=Granting.SCOPE, on=PROVENANCE),
)
"""Run always; the last two gate."""
FURTHER: Final = (
    Setting(name="template", granting=Granting.TEMPLATE, on=NONE),
    Setting(name="template+prov", granting=Granting.TEMPLATE, on=PROVENANCE),
    Setting(
        name="scope+prov+strict",
        granting=Granting.SCOPE,
        on=STRICT,
        limits={"PV-02": {"strict": True}},
    ),
    Setting(name="scope+prov, PV-05, SQ-20 (post-hoc)", granting=Granting.SCOPE, on=LINKS),
    Setting(name="shipped", granting=Granting.TEMPLATE),
    Setting(name="shipped, no default holds", granting=Granting.TEMPLATE, off=DEFAULT_HOLDS),
)
"""With `--whole`, and one for each control that had a say under `shipped, no default holds`."""


def without(code: str) -> Setting:
    """All as shipped but the default holds and one control."""
    return Setting(name=f"without {code}", granting=Granting.TEMPLATE, off=DEFAULT_HOLDS | {code})


def rules(setting: Setting, shipped: Mapping[str, Any]) -> dict[str, Any]:
    """`data.outrider.rules` under a setting: modes and limits are changed, all else is kept."""
    changed: dict[str, Any] = {}
    for code, said in shipped.items():
        mode = setting.mode(code, said.get("mode", "enforce"))
        limits = {**said.get("limits", {}), **setting.limits.get(code, {})}
        changed[code] = {**said, "mode": mode} | ({"limits": limits} if limits else {})
    return changed


def broad(suite: str) -> dict[str, Any]:
    """All a suite's tools, wherever they reach."""
    return {
        "tools": [f"{suite}/*"],
        "effects": list(ALL_EFFECTS),
        "destinations": ["*"],
        "sensitivity": "confidential",
    }


def template_of(setting: Setting, suite: str, task: Task, kinds: Mapping[str, str]) -> str:
    """The template a task is registered with."""
    if setting.granting is not Granting.TEMPLATE:
        return f"{suite}-any"
    return f"{suite}-{kinds[f'{suite}/{task.id}']}"


def grant_of(setting: Setting, suite: Suite, task: Task) -> dict[str, Any] | None:
    """The grant that is asked for; None asks for all the template gives."""
    if setting.granting is not Granting.SCOPE:
        return None
    tools = sorted({f"{suite.name}/{call.tool}" for call in task.calls})
    return {**broad(suite.name), "tools": tools}


def kinds() -> dict[str, str]:
    """`suite/task` -> its kind, from `policy/kinds.yaml`."""
    said = yaml.safe_load((POLICY / "kinds.yaml").read_text("utf-8"))
    return {
        f"{suite}/user_task_{number}": kind
        for suite in SUITES
        for kind, numbers in said[suite].items()
        for number in numbers
    }


def reading_tools() -> frozenset[str]:
    """The tools, `suite/name`, whose effect is read."""
    found = set()
    for suite in SUITES:
        said = _yaml(POLICY / "outrider" / "manifest" / suite / "data.yaml")
        found |= {
            f"{suite}/{tool}" for tool, one in said["tools"].items() if one["effect"] == "read"
        }
    return frozenset(found)


def write_overlay(setting: Setting, folder: Path) -> Path:
    """The setting's own overlay: rules and templates; `POLICY` goes below it."""
    shipped = _yaml(LIBRARY / "outrider" / "rules" / "data.yaml")
    templates = _yaml(POLICY / "outrider" / "templates" / "data.yaml")
    templates |= {f"{suite}-any": {"grant": broad(suite)} for suite in SUITES}
    register = {"by": ["control:operator"], "agents": [AGENT]}
    templates = {name: {**one, "register": register} for name, one in templates.items()}
    _write(folder / "outrider" / "rules" / "data.yaml", rules(setting, shipped))
    _write(folder / "outrider" / "templates" / "data.yaml", templates)
    return folder


def _yaml(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text("utf-8")))


class _Plain(yaml.SafeDumper):
    """Policy data has no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _write(path: Path, document: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.dump(dict(document), Dumper=_Plain, sort_keys=False), "utf-8")
