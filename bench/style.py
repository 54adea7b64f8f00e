"""Figures of the style of Python packages: `python -m bench.style FOLDER…` prints a row of figures for each folder."""

from __future__ import annotations

import argparse
import ast
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.Try)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def figures(folder: Path) -> dict[str, str]:
    """Return the figures of all modules below `folder`."""
    modules = [ast.parse(file.read_text("utf-8")) for file in sorted(folder.rglob("*.py"))]
    functions = [node for module in modules for node in ast.walk(module) if isinstance(node, Function)]
    public = [node for node in functions if not node.name.startswith("_")]
    lengths = sorted(lines(node) for node in functions)
    depths = sorted(depth(node) for node in functions)
    arguments = [argument for node in functions for argument in parameters(node)]
    positions = [position for module in modules for position in constants(module)]
    handlers = [node for module in modules for node in ast.walk(module) if isinstance(node, ast.ExceptHandler)]
    return {
        "modules": f"{len(modules)}",
        "modules with a docstring": share([ast.get_docstring(module) is not None for module in modules]),
        "constants before functions": share(positions),
        "functions": f"{len(functions)}",
        "lines: median, 9 in 10, most": of(lengths),
        "nesting: median, 9 in 10, most": of(depths),
        "most parameters": f"{max(len(parameters(node)) for node in functions)}",
        "parameters with a type": share([argument.annotation is not None for argument in arguments]),
        "parameters of type Any": share([text(argument.annotation) == "Any" for argument in arguments]),
        "public functions with a docstring": share([ast.get_docstring(node) is not None for node in public]),
        "broad handlers": share([text(handler.type) in ("", "Exception", "BaseException") for handler in handlers]),
    }


def of(values: Sequence[int]) -> str:
    return f"{statistics.median(values):g}, {values[len(values) * 9 // 10]}, {values[-1]}"


def share(values: Sequence[bool]) -> str:
    return f"{100 * sum(values) / max(1, len(values)):.0f} %"


def text(node: ast.expr | None) -> str:
    return ast.unparse(node).removeprefix("typing.") if node is not None else ""


def lines(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def depth(node: ast.AST, above: int = 0) -> int:
    """Return the number of blocks around the innermost statement."""
    return max([above, *(depth(child, above + isinstance(child, BLOCKS)) for child in ast.iter_child_nodes(node))])


def parameters(node: Function) -> list[ast.arg]:
    named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return [argument for argument in named if argument.arg not in ("self", "cls")]


def constants(module: ast.Module) -> Iterator[bool]:
    """Yield for each constant of a module if it stands before the first function or class."""
    is_before = True
    for node in module.body:
        is_before = is_before and not isinstance(node, Function | ast.ClassDef)
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and target.id.isupper() and not target.id.startswith("__"):
            yield is_before


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.style", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    rows = {str(folder): figures(folder) for folder in parser.parse_args().folders}
    for name in next(iter(rows.values())):
        print(f"{name:<36}", *(f"{row[name]:>14}" for row in rows.values()))


if __name__ == "__main__":
    main()
