"""What the declarations say of themselves: the names, a page for people, a dump for tools."""

from collections.abc import Iterable, Mapping
from typing import Final

import orjson

from outrider.telemetry.families.base import Axis, Declared

FORMAT: Final = "outrider.metrics/v1"
HEAD: Final = """\
# Metrics

Every metric of Outrider, by the process that exports it. A label takes the values listed, or names
from where it says; never a caller's text. Counters and histograms whose labels are all listed exist
at zero from the start. `process_*` and `python_*` are the Prometheus client's own. Features that
this version lacks have no metric here; ../runbooks/README.md names those that alerts wait for.

This page, `metrics.json` (the same for tools) and `../metrics.txt` are made from the declarations
in `proxy/outrider/telemetry/families` by `make metric-pages`.
"""


def names(processes: Mapping[str, Iterable[Declared]]) -> str:
    """One name a line, sorted."""
    every = {metric.name for declared in processes.values() for metric in declared}
    return "".join(f"{name}\n" for name in sorted(every))


def page(processes: Mapping[str, Iterable[Declared]]) -> str:
    """Markdown: a table for each process."""
    parts = [HEAD]
    for process, declared in processes.items():
        parts.append(f"\n## {process.capitalize()}\n\n")
        parts.append("| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n")
        parts += [_row(metric) for metric in _sorted(declared)]
    return "".join(parts)


def dump(processes: Mapping[str, Iterable[Declared]]) -> bytes:
    """JSON of the format `outrider.metrics/v1`: for each metric its process, name, type, help,
    labels (`values`, or `from` where they are names) and, of a histogram, its upper bounds."""
    metrics = [
        {"process": process, **_entry(metric)}
        for process, declared in processes.items()
        for metric in _sorted(declared)
    ]
    text = orjson.dumps({"format": FORMAT, "metrics": metrics}, option=orjson.OPT_INDENT_2)
    return text + b"\n"


def _sorted(declared: Iterable[Declared]) -> list[Declared]:
    return sorted(declared, key=lambda metric: metric.name)


def _entry(metric: Declared) -> dict[str, object]:
    entry: dict[str, object] = {
        "name": metric.name,
        "type": metric.kind,
        "help": metric.text,
        "labels": {
            axis.name: {"values": axis.values} if axis.values else {"from": axis.origin}
            for axis in metric.axes
        },
    }
    if metric.buckets:
        entry["buckets"] = metric.buckets
    return entry


def _row(metric: Declared) -> str:
    kind = metric.kind
    if metric.buckets:
        kind += f" ({' '.join(f'{bound:g}' for bound in metric.buckets)})"
    labels = "<br>".join(map(_shown, metric.axes)) or "none"
    return f"| `{metric.name}` | {kind} | {labels} | {_cell(metric.text)} |\n"


def _shown(axis: Axis) -> str:
    if axis.values:
        return f"`{axis.name}`: {', '.join(f'`{value}`' for value in axis.values)}"
    return f"`{axis.name}`: {_cell(axis.origin)}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
