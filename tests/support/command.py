"""The command line as a person meets it: arguments in, words and an exit code out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml
from typer.testing import CliRunner

from outrider.cli.main import build
from outrider.core.jsonvalue import Json, JsonObject

WIDE = {"COLUMNS": "400", "NO_COLOR": "1", "TERM": "dumb"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command said: its exit code, and what went to either stream."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return orjson.loads(self.out)


def outrider(*words: str | Path, env: dict[str, str] | None = None) -> Said:
    """Run one command in this process."""
    named = next((str(word) for word in words if not str(word).startswith("-")), None)
    result = CliRunner().invoke(build(named), [str(word) for word in words], env=WIDE | (env or {}))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(code=result.exit_code, out=result.stdout, err=result.stderr)


def write_settings(room: Path, **changes: Json) -> Path:
    """A settings file in `room` that reaches nothing outside it."""
    document: JsonObject = {"data_dir": "data", **changes}
    path = room / "outrider.yaml"
    path.write_text(yaml.safe_dump(document))
    return path
