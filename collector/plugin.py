"""The hook that makes ``evidently collector`` a command of Evidently's own command line.

Evidently has no entry points for commands, and a second console script named ``evidently`` would fight with the first
over one file: pip deletes it when either is uninstalled. So the wheel ships ``evidently_collector.pth`` at the top of
site-packages, which Python runs at every start of every program in the environment. Hence the oddities:

* This file is installed as the top-level module ``evidently_collector_plugin``. Importing ``collector`` at every start
  would run any other ``collector`` that is on ``PYTHONPATH``, and hide a ``collector.py`` that belongs to the program.
* It imports nothing until ``evidently.cli`` has been imported, or is about to be by ``evidently collector``: that is
  handed over before Evidently is loaded, which takes seconds, and so are a shell's questions how to complete it.
* It swallows its errors: no command is better than a Python that doesn't start.
"""

import sys

TYPE_CHECKING = False  # to take it from typing would mean to import that
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from typer import Typer


def install() -> None:
    """Have the command added as soon as ``evidently.cli`` has been imported."""
    sys.meta_path.insert(0, _Finder())


class _Finder:
    def find_spec(
        self, name: str, path: "Sequence[str] | None", target: "ModuleType | None" = None, /
    ) -> "ModuleSpec | None":
        if name not in {"evidently", "evidently.cli"}:
            return None
        try:
            behind = sys.meta_path[sys.meta_path.index(self) + 1 :]
            spec = next(filter(None, (finder.find_spec(name, path, target) for finder in behind)))
            if name == "evidently.cli":
                _add_after_import(spec)
            elif sys.argv[0].rpartition("/")[2] == "evidently":
                _take_early(spec)
        except Exception:  # noqa: BLE001 -- Python then goes on to the other finders, as if we weren't here
            return None
        return spec


def _take_early(evidently: "ModuleSpec") -> None:
    """Take the place of Evidently's command line if our command is meant, unless Evidently has one of the same name."""
    import os

    places = evidently.submodule_search_locations or []
    if any(os.path.exists(f"{place}/cli/collector.py") for place in places):  # noqa: PTH110 # pathlib takes its time
        return
    if "_EVIDENTLY_COMPLETE" in os.environ:
        _complete_ours()
    elif sys.argv[1:2] == ["collector"]:
        _become_ours(sys.argv[2:])


def _complete_ours() -> None:
    """Answer a shell that asks for completions of ``evidently collector …``, if it is set up for ``evidently``."""
    import os

    for name in ("COMP_WORDS", "_TYPER_COMPLETE_ARGS"):  # bash sets the first, other shells the second
        typed = os.environ.get(name, "")
        words = typed.split()
        if words[1:2] == ["collector"] and (len(words) > 2 or typed[-1].isspace()):
            after = typed[len(words[0]) :].lstrip().removeprefix("collector")
            os.environ[name] = f"evidently-collector{after}"
            os.environ["COMP_CWORD"] = str(int(os.environ.get("COMP_CWORD", "2")) - 1)
            os.environ["_EVIDENTLY_COLLECTOR_COMPLETE"] = os.environ.pop("_EVIDENTLY_COMPLETE")
            _become_ours([])


def _become_ours(args: "Sequence[str]") -> None:
    """Replace this process by our command, without Evidently; -P ignores a collector.py in the directory."""
    import os

    safe_path = "-I" if sys.flags.isolated else "-P"
    os.execv(sys.executable, [sys.executable, safe_path, "-m", "collector", *args])  # noqa: S606


def _add_after_import(spec: "ModuleSpec") -> None:
    import contextlib

    execute = spec.loader.exec_module  # type: ignore[union-attr] # no loader is one of the errors swallowed above

    def execute_and_add(module: "ModuleType") -> None:
        execute(module)
        with contextlib.suppress(Exception):  # Evidently without our command is better than no Evidently
            _add_command(module.app)

    spec.loader.exec_module = execute_and_add  # type: ignore[union-attr, method-assign] # wraps this one import


def _add_command(app: "Typer") -> None:
    import typer.core
    import typer.main

    class Untouched(typer.core.TyperCommand):
        def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override] # the public name
            ctx.args = list(args)  # not even "--" and "--help" are ours
            return ctx.args

    def run(ctx: typer.Context) -> None:
        _become_ours(ctx.args)

    if "collector" not in getattr(typer.main.get_command(app), "commands", {}):
        app.command("collector", cls=Untouched, help="Collect events and save a snapshot of each batch")(run)
