"""What a former release left in its store is read by this one, and what this one writes by it.

An upgrade keeps the store, and so does a rollback (OPERATIONS §11). Each folder below
`former_state/` holds one document of each kind as the release of its name wrote it. They are never
edited: who adds a field says in its codec what it is where a document does not tell.
"""

from pathlib import Path
from typing import Any

import orjson
import pytest

from outrider.tasks.behaviour.document import TaskCodec
from outrider.tasks.history import HistoryCodec
from outrider.tasks.memory import MemoryCodec
from outrider.tasks.shelf import UnderCodec
from outrider.tasks.task import SlotCodec

FORMER = Path(__file__).parent / "former_state"
CODECS: dict[str, Any] = {
    "history": HistoryCodec,
    "memory": MemoryCodec,
    "task": SlotCodec,
    "task_document": TaskCodec,
    "tasks_of_an_agent": UnderCodec,
}
LATER_S = 1_999_999_999
FILES = sorted(FORMER.glob("*/*.json"))


def test_every_release_left_one_document_of_each_kind() -> None:
    releases = [release for release in FORMER.iterdir() if release.is_dir()]
    assert releases
    for release in releases:
        assert {file.stem for file in release.iterdir()} == CODECS.keys()


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_document_of_a_former_release_is_kept_whole(file: Path) -> None:
    codec = CODECS[file.stem]()
    found = orjson.loads(file.read_bytes())
    kept = orjson.loads(codec.encode(codec.decode(orjson.dumps(found), LATER_S)))
    assert {name: kept[name] for name in found} == found
