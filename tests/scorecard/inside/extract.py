"""Write what a scripted agent replays, as JSON: `extract.py FILE`.

Of each user task its ground truth, run twice: with a canary in every injection vector, to learn
which result shows one first, and clean, for the calls and whether AgentDojo calls the task done.
Of each injection task its goal and its ground truth's calls.
"""

import json
import sys
from pathlib import Path
from typing import Any

import suites
from agentdojo.functions_runtime import FunctionCall

CANARY = "<CANARY---{}--->"


def main(target: Path) -> None:
    found = {name: _suite(name) for name in ("workspace", "travel", "banking", "slack")}
    target.write_text(json.dumps({"version": suites.VERSION, "suites": found}), "utf-8")


def _suite(name: str) -> dict[str, Any]:
    print(name, file=sys.stderr, flush=True)
    own = suites.suite(name)
    return {
        "tools": suites.tools_of(name),
        "tasks": {task: _task(name, task) for task in own.user_tasks},
        "injections": {goal: _injection(name, goal) for goal in own.injection_tasks},
    }


def _task(name: str, task: str) -> dict[str, Any]:
    _, defaults = suites._template(name)
    canaries = {vector: CANARY.format(vector) for vector in defaults}
    truth = suites.suite(name).user_tasks[task]
    marked = suites.Run(name, task, canaries)
    shown = [_vectors(answer, canaries) for answer, _ in _replay(marked, truth)]
    clean = suites.Run(name, task, {})
    answers = _replay(clean, truth)
    exposed = [number for number, vectors in enumerate(shown) if vectors]
    return {
        "prompt": truth.PROMPT,
        "calls": [{"tool": one.function, "arguments": _args(one)} for one in clean.traces],
        "failed": [number for number, (_, error) in enumerate(answers) if error],
        "useful": clean.is_useful(),
        "exposed_at": exposed[0] if exposed else None,
        "vectors": sorted({vector for vectors in shown for vector in vectors}),
    }


def _injection(name: str, goal: str) -> dict[str, Any]:
    task = suites.suite(name).injection_tasks[goal]
    run = suites.Run(name, goal, {})
    _replay(run, task)
    return {
        "goal": task.GOAL,
        "calls": [{"tool": one.function, "arguments": _args(one)} for one in run.traces],
    }


def _replay(run: suites.Run, task: Any) -> list[tuple[dict[str, Any], str | None]]:
    return [run.call(one.function, one.args) for one in task.ground_truth(run.environment)]


def _vectors(answer: dict[str, Any], canaries: dict[str, str]) -> list[str]:
    # the characters of a canary are the same in JSON
    said = json.dumps(answer, ensure_ascii=False)
    return [vector for vector, canary in canaries.items() if canary in said]


def _args(call: FunctionCall) -> dict[str, Any]:
    given = dict(call.args)
    if any(isinstance(value, FunctionCall) for value in given.values()):
        raise TypeError(f"{call.function} is called with the result of another call")
    return json.loads(json.dumps(given))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
