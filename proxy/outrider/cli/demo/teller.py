"""How the story is told: aligned lines, colour by effect, the reason in a line."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from outrider.cli.demo.story import Step, Who
from outrider.core.jsonvalue import JsonObject, as_list, as_object
from outrider.core.vocabulary import Effect, Reason

_INDENT: Final = 10
_WIDEST: Final = 100
_COLOURS: Final = {
    Effect.ALLOW.value: "green",
    Effect.HOLD.value: "yellow",
    Effect.DENY.value: "red",
}


def console_of(*, plain: bool, quiet: bool = False, to_stderr: bool = False) -> Console:
    """Standard output; `plain` without colour or movement, `quiet` says nothing at all."""
    return Console(
        highlight=False,
        no_color=plain or None,
        force_terminal=False if plain else None,
        quiet=quiet,
        stderr=to_stderr,
    )


class Teller:
    """Prints the story as it happens."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._width = min(console.width, _WIDEST)
        self._scene = 0

    def opening(self, engine: str) -> None:
        self.title(
            "an agent's calls pass only as policy allows",
            f"Agent, sidecar ({engine}) and three upstreams, each a process of its own.",
        )

    def title(self, what: str, parts: str) -> None:
        """What is shown, and what it is made of."""
        self._console.print()
        self._console.print(Text.assemble(("Outrider", "bold"), f"  {what}"))
        self._console.print(Text(parts, "dim"))

    @contextmanager
    def waiting(self, texts: Sequence[str]) -> Iterator[Callable[[str], None]]:
        """Show that `texts` are under way; the function it gives says that one is done."""
        if not self._console.is_terminal:
            for text in texts:
                self._console.print(Text(f"  … {text}", "dim"))
            yield lambda _: None
            return
        columns = (SpinnerColumn(), TextColumn("[dim]{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=self._console, transient=True) as progress:
            jobs = {text: progress.add_task(text, total=1) for text in texts}
            yield lambda text: progress.update(jobs[text], completed=1)

    def scene(self, title: str) -> None:
        self._scene += 1
        self._console.print()
        self._console.print(Text(f"{self._scene}  {title}", "bold cyan"))

    def aside(self, text: str) -> None:
        """What others do."""
        self._line(Text("  ·"), Text(text, "italic"), indent=4)

    def step(self, step: Step, record: JsonObject | None, faults: Sequence[str]) -> None:
        """One step: the tick says that it went as it must, the word what was decided."""
        decision = as_object((record or {}).get("decision"))
        effect = str(decision.get("enforced") or "none")
        mark = ("  ✗ ", "bold red") if faults else ("  ✓ ", "bold green")
        word = (f"{effect.upper():<6}", f"bold {_COLOURS.get(effect, 'magenta')}")
        self._line(Text.assemble(mark, word), Text(step.say))
        self._below(Text(why(step, record or {}), "dim"))
        for fault in faults:
            self._below(Text(fault, "bold red"))

    def fact(self, text: str, *, is_good: bool = True) -> None:
        mark = Text("  ✓", "bold green") if is_good else Text("  ✗", "bold red")
        self._line(mark, Text(text), indent=4)

    def shown(self, text: str) -> None:
        self._line(Text(), Text(text, "dim"), indent=4)

    def table(self, rows: Iterable[tuple[str, bool]]) -> None:
        """What was shown, and whether it is as it must be."""
        table = Table(header_style="bold", box=SIMPLE, pad_edge=False)
        table.add_column("shown", max_width=self._width - _INDENT, overflow="fold")
        table.add_column("holds")
        for what, is_good in rows:
            table.add_row(Text(what), Text("yes", "green") if is_good else Text("NO", "bold red"))
        self._console.print()
        self._console.print(table)

    def closing(self, faults: Sequence[str], steps: int, took_s: float, hint: str) -> None:
        self._console.print()
        if faults:
            self._console.print(Text(f"{len(faults)} differences:", "bold red"))
            for fault in faults:
                self._console.print(Text(f"  {fault}"), soft_wrap=True)
            return
        said = f"All {steps} steps went as they must ({took_s:.1f} s)."
        self._console.print(Text(said, "bold green"))
        if hint:
            self._console.print(Text(hint, "dim"), soft_wrap=True)

    def kept(self, home: str) -> None:
        """Where the chain and the logs of a run that differed are."""
        self._console.print(Text(f"Chain, journals and logs: {home}", "dim"), soft_wrap=True)

    def try_it(self, lines: Iterable[tuple[str, str]]) -> None:
        """What a person may type while everything is up; commands are never wrapped."""
        self._console.print()
        self._console.print(Text("Everything is up. In another terminal:", "bold"))
        for what, command in lines:
            self._console.print(Text(f"\n  # {what}", "dim"))
            for line in command.splitlines():
                self._console.print(Text(f"  {line}"), soft_wrap=True)
        self._console.print(Text("\nCtrl-C ends it all.", "bold"))

    def fault(self, text: str) -> None:
        self._console.print(Text.assemble(("error ", "bold red"), text), soft_wrap=True)

    def _line(self, head: Text, text: Text, indent: int = _INDENT) -> None:
        head.pad_right(max(0, indent - head.cell_len))
        room = max(20, self._width - indent)
        for number, line in enumerate(text.wrap(self._console, room)):
            line.rstrip()
            self._console.print(Text.assemble(head if number == 0 else " " * indent, line))

    def _below(self, text: Text) -> None:
        if text:
            self._line(Text(), text)


def why(step: Step, record: JsonObject) -> str:
    """The decision's reason and what is worth a look, in one line."""
    decision, action = as_object(record.get("decision")), as_object(record.get("action"))
    if decision.get("enforced") == Effect.ALLOW.value:
        return " · ".join(filter(None, (step.note or _by(step), _hidden(step))))
    given = [as_object(entry) for entry in as_list(decision.get("reasons"))]
    said = [f"{entry.get('code')} {entry.get('message')}" for entry in given]
    text = f"{decision.get('reason')}: {said[0] if said else decision.get('detail')}"
    if decision.get("reason") == Reason.GRANT.value and "effect" in text:
        text += f" ({action.get('effect')})"
    return " · ".join(filter(None, (text, step.note)))


def _by(step: Step) -> str:
    return "the older client" if step.who is Who.LEGACY else ""


def _hidden(step: Step) -> str:
    if step.want is None or not step.want.hidden:
        return ""
    return f"not shown: {', '.join(step.want.hidden)}"
