"""Check a notebook's parameters before anything runs.

Used in the cell after the parameters cell, and by ``book.execute`` on notebooks that have not
started.

A parameters cell holds annotated assignments with a comment each::

    seeds: list[int] = [0]  # model seeds, one run each
    epochs: int = 4  # passes over the training split

and the next cell calls ``check_parameters(globals(), seeds=(0, 9999), epochs=(1, 500))``.
"""

import ast
import difflib
import types
import typing
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, Union, get_args, get_origin

Rule = typing.Any
_INJECTED = "# Parameters"  # papermill's first line in the cell it adds


def check_parameters(namespace: MutableMapping[str, Any], **rules: Rule) -> None:
    """Check every declared parameter in ``namespace``; write converted values back.

    Types are strict (a bool is no int), but an int is taken for a float, and a string given for a
    list, tuple or dict is read as Python or YAML: ``papermill -p seeds "[0, 1]"`` passes a string.

    Args:
        namespace: the notebook's ``globals()``.
        rules: for a parameter, ``(low, high)`` with two numbers is an inclusive range; any other
            tuple, a list or a set holds the choices. For a list, the rule holds for each item,
            and the list may not be empty.

    Raises:
        ValueError: an injected name that the notebook does not declare, a wrong type, a value
            outside its rule, or a relative path in another folder than the notebooks'. Every fault
            is named, with what was expected and the nearest name.
    """
    cells = _cells_run(namespace)
    declared = declared_types(cells, namespace)
    problems = [
        f"unknown parameter {name!r}{nearest(name, declared)}"
        for name in _injected_names(cells)
        if name not in declared
    ]
    problems += [
        f"check_parameters has a rule for {name!r}, which is no parameter{nearest(name, declared)}"
        for name in rules
        if name not in declared
    ]
    for name, annotation in declared.items():
        try:
            value = convert(namespace[name], annotation)
            _check_rule(value, rules.get(name))
        except ValueError as error:
            problems.append(f"parameter {name!r}: {error}")
        else:
            namespace[name] = value
    if problems:
        raise ValueError("; ".join(problems))
    _check_place({name: namespace[name] for name in declared})


def _check_place(values: Mapping[str, Any]) -> None:
    """Refuse to run where relative paths lead elsewhere than from the folder of the notebooks."""
    relative = [name for name, v in values.items() if isinstance(v, str) and v.startswith("../")]
    if relative and not Path("../book").is_dir():
        raise ValueError(
            f"{', '.join(relative)}: relative paths are seen from the folder of the notebooks, got "
            f"{Path.cwd()}; run papermill with --cwd notebooks, or give absolute paths"
        )


def declared_types(cells: Iterable[str], namespace: Mapping[str, Any] | None = None) -> dict:
    """Types of the annotated assignments at the top level of ``cells`` (sources), by name.

    Without any cell (outside IPython) the namespace's own ``__annotations__`` are used.
    Annotations see ``namespace`` and the names of ``typing``.
    """
    scope = {**vars(typing), **(namespace or {})}
    found = dict((namespace or {}).get("__annotations__", {}))
    for statement in _statements(cells):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            expression = ast.Expression(statement.annotation)
            found[statement.target.id] = eval(compile(expression, "<parameters>", "eval"), scope)
    return found


def convert(value: Any, annotation: Any) -> Any:
    """``value`` as ``annotation`` asks, unchanged where it already fits.

    Raises:
        ValueError: it does not fit; the message says expected and got.
    """
    if isinstance(value, str) and get_origin(annotation) in (list, tuple, dict):
        value = _read(value)
    converted = _fit(value, annotation)
    if converted is _NO_FIT:
        raise ValueError(f"expected {_name(annotation)}, got {type(value).__name__} {value!r}")
    return converted


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence part that names the closest known name, or all of them."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(sorted(known)) or 'none'}"


class _NoFit:
    pass


_NO_FIT = _NoFit()


def _fit(value: Any, annotation: Any) -> Any:
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return value
    if annotation is None or annotation is type(None):
        return None if value is None else _NO_FIT
    if origin in (Union, types.UnionType):
        fits = (_fit(value, option) for option in inner)
        return next((fit for fit in fits if fit is not _NO_FIT), _NO_FIT)
    if origin is typing.Literal:
        return value if value in inner and isinstance(value, type(inner[0])) else _NO_FIT
    if origin is dict:
        return _fit_dict(value, inner)
    if origin in (list, tuple):
        return _fit_sequence(value, origin, inner)
    if isinstance(value, bool) and annotation is not bool:
        return _NO_FIT
    if annotation is float and isinstance(value, int):
        return float(value)
    return value if isinstance(value, annotation) else _NO_FIT


def _fit_sequence(value: Any, kind: type, inner: tuple) -> Any:
    if not isinstance(value, list | tuple):
        return _NO_FIT
    fixed = kind is tuple and Ellipsis not in inner
    if fixed and len(inner) != len(value):
        return _NO_FIT
    item_types = inner if fixed else (inner[0],) * len(value)
    items = [_fit(item, item_type) for item, item_type in zip(value, item_types, strict=True)]
    return _NO_FIT if any(item is _NO_FIT for item in items) else kind(items)


def _fit_dict(value: Any, inner: tuple) -> Any:
    if not isinstance(value, dict):
        return _NO_FIT
    pairs = {key: _fit(item, inner[1]) for key, item in value.items()}
    wrong = [k for k, v in pairs.items() if v is _NO_FIT or _fit(k, inner[0]) is _NO_FIT]
    return _NO_FIT if wrong else pairs


def _check_rule(value: Any, rule: Rule) -> None:
    if rule is None or value is None:
        return
    if isinstance(value, list | tuple):
        if not value:
            raise ValueError("expected at least one item, got an empty list")
        for item in value:
            _check_rule(item, rule)
    elif _is_range(rule):
        low, high = rule
        if not low <= value <= high:
            raise ValueError(f"expected {low} to {high}, got {value!r}")
    elif value not in rule:
        options = [str(choice) for choice in rule]
        hint = nearest(value, options) if isinstance(value, str) else ""
        raise ValueError(f"expected one of {', '.join(options)}, got {value!r}{hint}")


def _is_range(rule: Rule) -> bool:
    numbers = isinstance(rule, tuple) and len(rule) == 2
    return numbers and all(type(bound) in (int, float) for bound in rule)


def _read(text: str) -> Any:
    """A list or dict written as Python or YAML; anything else stays the string it is."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        import yaml
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _cells_run(namespace: Mapping[str, Any]) -> list[str]:
    return [source for source in namespace.get("In", []) if source]


def _injected_names(cells: Iterable[str]) -> list[str]:
    injected = [source for source in cells if source.lstrip().startswith(_INJECTED)]
    names = [
        target.id
        for statement in _statements(injected)
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    ]
    return sorted(set(names))


def _statements(cells: Iterable[str]) -> Iterable[ast.stmt]:
    for source in cells:
        try:
            yield from ast.parse(source).body
        except SyntaxError:  # a shell line or an IPython magic declares no parameter
            continue


def _name(annotation: Any) -> str:
    plain = isinstance(annotation, type) and not get_args(annotation)
    return annotation.__name__ if plain else str(annotation).replace("typing.", "")
