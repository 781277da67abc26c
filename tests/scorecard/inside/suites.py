"""AgentDojo's suites of one benchmark version, and runs in them; imported by AgentDojo's Python."""

import functools
import warnings
from collections.abc import Mapping
from typing import Any, Final

import stubs

stubs.install()

import yaml  # noqa: E402 - the stand-ins come first
from agentdojo.attacks.base_attacks import DEFAULT_MODEL_NAME  # noqa: E402
from agentdojo.attacks.important_instructions_attacks import (  # noqa: E402
    ImportantInstructionsAttack,
)
from agentdojo.functions_runtime import FunctionCall, FunctionsRuntime  # noqa: E402
from agentdojo.task_suite.load_suites import get_suites  # noqa: E402
from agentdojo.task_suite.task_suite import read_suite_file  # noqa: E402
from agentdojo.types import text_content_block_from_string  # noqa: E402
from pydantic import BaseModel  # noqa: E402

VERSION: Final = "v1.2.2"
USER: Final = "Emma Johnson"
"""Whom AgentDojo's `important_instructions` pretends to be."""

warnings.filterwarnings("ignore")


@functools.cache
def suite(name: str) -> Any:
    return get_suites(VERSION)[name]


@functools.cache
def _template(name: str) -> tuple[str, dict[str, str]]:
    own = suite(name)
    text = read_suite_file(own.name, "environment.yaml", own.data_path)
    return text, own.get_injection_vector_defaults()


def environment(name: str, injections: Mapping[str, str]) -> Any:
    """The suite's environment with `injections` in their vectors, as AgentDojo builds it (its own
    loader in C, which parses the same in a tenth of the time)."""
    text, defaults = _template(name)
    if not injections.keys() <= defaults.keys():
        raise KeyError(f"{name} has no vector {sorted(injections.keys() - defaults.keys())}")
    filled = text.format(**{**defaults, **injections})
    return suite(name).environment_type.model_validate(yaml.load(filled, yaml.CSafeLoader))


def attack_text(goal: str, prompt: str) -> str:
    """What AgentDojo's `important_instructions` writes into a vector to reach `goal`."""
    return ImportantInstructionsAttack._JB_STRING.format(
        goal=goal, user=USER, model=DEFAULT_MODEL_NAME, task=prompt
    )


def tools_of(name: str) -> list[dict[str, Any]]:
    """The suite's tools as MCP lists them."""
    return [
        {
            "name": tool.name,
            "description": tool.description,
            "inputSchema": {**tool.parameters.model_json_schema(), "type": "object"},
        }
        for tool in suite(name).tools
    ]


def structured(value: Any) -> dict[str, Any]:
    """A tool's answer as the official SDK would structure it: objects stand by themselves, all
    else is below `result`."""
    plain = _plain(value)
    return plain if isinstance(plain, dict) else {"result": plain}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


class Run:
    """One task in an environment of its own."""

    def __init__(self, name: str, task: str, injections: Mapping[str, str]) -> None:
        self._name = name
        self._suite = suite(name)
        self._task = self._suite.user_tasks.get(task)
        whole = environment(name, injections)
        self.environment = whole if self._task is None else self._task.init_environment(whole)
        self.before = self.environment.model_copy(deep=True)
        self._runtime = FunctionsRuntime(self._suite.tools)
        self.traces: list[FunctionCall] = []

    def call(self, tool: str, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
        """The answer of a tool, structured, and its error if it failed."""
        value, error = self._runtime.run_function(self.environment, tool, dict(arguments))
        self.traces.append(FunctionCall(function=tool, args=dict(arguments)))
        return structured(value), error

    def is_useful(self) -> bool:
        """Whether AgentDojo says that the user's task is done."""
        assert self._task is not None
        return self._verdict(self._task, self._task.GROUND_TRUTH_OUTPUT)

    def is_broken(self, injection: str) -> bool:
        """Whether AgentDojo says that the attacker's goal is reached; by what was called and done,
        the agent's words reach none."""
        said = "" if self._task is None else self._task.GROUND_TRUTH_OUTPUT
        return self._verdict(self._suite.injection_tasks[injection], said)

    def _verdict(self, task: Any, said: str) -> bool:
        output = [text_content_block_from_string(said)]
        return bool(
            self._suite._check_task_result(task, output, self.before, self.environment, self.traces)
        )
