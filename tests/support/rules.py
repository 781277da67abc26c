"""The rules, runbooks and declared metrics as files say them, for tests that hold them together."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson
import promql_parser
import yaml

DEPLOY: Final = Path(__file__).resolve().parents[2] / "deploy"
RULES: Final = DEPLOY / "prometheus" / "rules"
CASES: Final = DEPLOY / "prometheus" / "tests"
RUNBOOKS: Final = DEPLOY / "runbooks"
BASE: Final = "https://outrider.example/runbooks/"

SCRAPED: Final = {"job", "instance", "namespace", "pod", "agent", "le", "container", "endpoint"}
"""Labels that every series of a scrape may have beside its own."""
OTHERS: Final[Mapping[str, set[str]]] = {
    "up": set(),
    "process_start_time_seconds": set(),
    "process_cpu_seconds_total": set(),
    "process_resident_memory_bytes": set(),
    "process_open_fds": set(),
    "process_max_fds": set(),
    "scrape_duration_seconds": set(),
    "kube_pod_labels": {"label_outrider_dev_inject"},
    "kube_pod_status_phase": {"phase"},
    "kube_pod_init_container_info": set(),
    "kube_pod_container_info": set(),
    "kube_namespace_labels": {"label_outrider_dev_inject"},
    "kube_pod_container_status_restarts_total": set(),
    "kube_pod_init_container_status_restarts_total": set(),
    "ALERTS": {"alertname", "alertstate", "severity"},
}
"""Metrics of others that we read: Prometheus' own, the process's, kube-state-metrics'."""
_PARTS: Final = ("_bucket", "_count", "_sum")
_VARIABLES: Final = {
    "$__rate_interval": "2m",
    "$__range": "6h",
    "$__interval": "30s",
    "$namespace": ".*",
    "$agent": ".*",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    id: str
    file: str
    record: str
    alert: str
    expression: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule of every file, in order; one that shares its name has a number after it."""
    seen: Counter[str] = Counter()

    def named(rule: Mapping[str, Any]) -> str:
        name = str(rule.get("record") or rule["alert"])
        seen[name] += 1
        return name if seen[name] == 1 else f"{name}-{seen[name]}"

    return tuple(
        Rule(
            id=named(rule),
            file=path.name,
            record=rule.get("record", ""),
            alert=rule.get("alert", ""),
            expression=rule["expr"],
            labels=rule.get("labels", {}),
            annotations=rule.get("annotations", {}),
        )
        for path in sorted(RULES.glob("*.yaml"))
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]
        for rule in group["rules"]
    )


def alerts() -> list[str]:
    """The names of all alerts, each once."""
    return sorted({rule.alert for rule in rules() if rule.alert})


@cache
def declared() -> Mapping[str, Mapping[str, Any]]:
    """Exported name of every declared metric -> its entry of the registry dump."""
    dump = orjson.loads((DEPLOY / "prometheus" / "metrics.json").read_bytes())
    found: dict[str, Mapping[str, Any]] = {}
    for metric in dump["metrics"]:
        for part in _PARTS if metric["type"] == "histogram" else ("",):
            found[metric["name"] + part] = metric
    return found


def filled(expression: str) -> str:
    """`expression` with a dashboard's variables filled in."""
    for name, text in _VARIABLES.items():
        expression = expression.replace(name, text)
    return expression


def selectors(expression: str) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Each selector of an expression: metric, and (label, operator, value) of its matchers.

    Raises `ValueError` where it does not parse.
    """
    found: list[tuple[str, list[tuple[str, str, str]]]] = []

    def look(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            rows = [(one.name, str(one.op), one.value) for one in node.matchers.matchers]
            found.append((node.name or "", rows))
        return True

    promql_parser.walk(promql_parser.parse(filled(expression)), look)
    yield from found


def faults(expression: str) -> list[str]:
    """What of `expression` no declared metric, label or label value stands behind."""
    recorded = {rule.record for rule in rules() if rule.record}
    told: list[str] = []
    try:
        found = [*selectors(expression)]
    except ValueError as fault:
        return [f"does not parse: {fault}"]
    for name, matchers in found:
        if name in recorded:
            continue
        entry = declared().get(name)
        if entry is None and name not in OTHERS:
            told.append(f"{name} is declared nowhere")
            continue
        labels = entry["labels"] if entry else {key: {"from": "others"} for key in OTHERS[name]}
        for label, operator, value in matchers:
            told += _doubt(name, labels, label, operator, value)
    told += [
        f"groups by {label}, which nothing has"
        for label in _grouped(expression)
        if not _is_known(label, [name for name, _ in found])
    ]
    return told


def _doubt(
    name: str, labels: Mapping[str, Any], label: str, operator: str, value: str
) -> list[str]:
    if label in SCRAPED:
        return []
    if label not in labels:
        return [f"{name} has no label {label}"]
    values = labels[label].get("values")
    if values is None or value in (".*", ""):
        return []
    if operator.endswith(("Re", "NotRe")) or "~" in operator:
        wanted = [one for one in values if re.fullmatch(value, one)]
        alone = [one for one in value.split("|") if re.fullmatch(r"\w+", one) and one not in values]
        return [f"{name}: {label} is never {value}"] if not wanted or alone else []
    return [] if value in values else [f"{name}: {label} is never {value}"]


def _grouped(expression: str) -> set[str]:
    """The labels that `by (…)` and `on (…)` name."""
    found = re.findall(r"\b(?:by|on|ignoring|without)\s*\(([^)]*)\)", expression)
    return {label.strip() for one in found for label in one.split(",") if label.strip()}


def _is_known(label: str, names: list[str]) -> bool:
    if label in SCRAPED:
        return True
    for name in names:
        entry = declared().get(name)
        if (entry and label in entry["labels"]) or label in OTHERS.get(name, ()):
            return True
    return any(
        rule.record in names and label in _grouped(rule.expression)
        for rule in rules()
        if rule.record
    )
