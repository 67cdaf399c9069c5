"""Annotations as Python 3.14 hands them over, for the Pythons before it.

Its rules (PEP 649 and PEP 749, module annotationlib), followed and not copied:

- An annotation is evaluated when somebody asks for it, not where it is written.
- Asked in the format FORWARDREF, that happens with a *copy* of the names. One that is missing is a ``Reference``, and
  what is done with it (an item, an attribute, a union) becomes part of that. What exists stays what it is.
- Where an object meets a reference, as in ``int | Later``, it gets a name that nobody has written and only this
  reference knows: ``__annotationlib_name_1__ | Later``.
- Asked in the format VALUE, which is the default of ``inspect.signature`` and ``get_annotations``, a missing name is a
  ``NameError``.
- A reference is evaluated with a copy of the local names that it is given.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
from collections.abc import Callable, Mapping
from types import FrameType, SimpleNamespace
from typing import ForwardRef, TypeVar, cast, get_args, get_type_hints

import pytest
import typing_extensions
from typing_extensions import Format

__all__ = ["deferring", "emulate"]

F = TypeVar("F", bound="Callable[..., object]")
Written = Mapping[str, str]
"""What is annotated, and the source of its annotation."""

if sys.version_info >= (3, 14):
    raise ImportError("this Python defers annotations itself")


class Reference(ForwardRef, _root=True):  # type: ignore[call-arg, misc]  # pyright: ignore[reportGeneralTypeIssues, reportCallIssue]
    """A reference to something that was missing when the annotation was evaluated."""

    def __init__(self, text: str, extra: Mapping[str, object] | None = None) -> None:
        super().__init__(text, is_class=True)
        self.extra = dict(extra or {})

    def evaluate(
        self,
        *,
        globals: dict[str, object] | None = None,  # noqa: A002 - Python's names
        locals: Mapping[str, object] | None = None,  # noqa: A002
        format: Format = Format.VALUE,  # noqa: A002
    ) -> object:
        """What it stands for now."""
        text = self.__forward_arg__
        if format is Format.STRING:
            for name, value in self.extra.items():
                text = text.replace(name, getattr(value, "__name__", repr(value)))
            return text
        names = {**dict(locals or {}), **self.extra}
        try:
            return eval(text, dict(globals or {}), names)
        except Exception:
            if format is Format.VALUE:
                raise
        return eval(text, {}, _Fake({**vars(builtins), **dict(globals or {}), **names}))

    # typing calls it, with other arguments in each version of Python.
    def _evaluate(self, globalns: object, localns: Mapping[str, object] | None, *_: object, **__: object) -> object:
        localns = localns or {}
        value = self.evaluate(globals={}, locals=localns)
        holder = SimpleNamespace(__annotations__={"it": value})
        return get_type_hints(holder, {}, dict(localns), include_extras=True)["it"]

    # While an annotation is evaluated, more can be done with a reference than with one that is finished.

    def __getattr__(self, name: str) -> Reference:
        if name.startswith("__"):
            raise AttributeError(name)
        return Reference(f"{self.__forward_arg__}.{name}", self.extra)

    def __getitem__(self, item: object) -> Reference:
        items = cast("tuple[object, ...]", item if isinstance(item, tuple) else (item,))
        texts = [self._written(part) for part in items]
        return Reference(f"{self.__forward_arg__}[{', '.join(texts)}]", self.extra)

    def __or__(self, other: object) -> Reference:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        right = self._written(other)
        return Reference(f"{self.__forward_arg__} | {right}", self.extra)

    def __ror__(self, other: object) -> Reference:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        left = self._written(other)
        return Reference(f"{left} | {self.__forward_arg__}", self.extra)

    def _written(self, other: object) -> str:
        if isinstance(other, Reference):
            self.extra |= other.extra
            return other.__forward_arg__
        if other is None or isinstance(other, (str, int)):
            return repr(other)
        name = f"__annotationlib_name_{len(self.extra) + 1}__"
        self.extra[name] = other
        return name


class _Fake(dict[str, object]):
    """Names, and a reference for every other."""

    def __missing__(self, name: str) -> Reference:
        return Reference(name)


def _forwardref(source: str, names: Mapping[str, object]) -> object:
    """The annotation in the format FORWARDREF."""
    try:
        return eval(source, {}, _Fake(names))
    except Exception:  # once more without any names, and then each by itself
        return Reference(source).evaluate(locals=names, format=Format.FORWARDREF)


def _names_around(frame: FrameType | None) -> dict[str, object]:
    """The names that the compiler would have found: of the class, of the functions around it, of the module."""
    frame = frame and frame.f_back  # that of the class body
    assert frame is not None
    scopes: list[Mapping[str, object]] = [frame.f_locals]
    module = frame.f_globals
    while frame is not None and frame.f_locals is not module and frame.f_globals is module:
        scopes.append(frame.f_locals)
        frame = frame.f_back
    names: dict[str, object] = {**vars(builtins), **module}
    for scope in reversed(scopes):
        names |= {name: value for name, value in scope.items() if not isinstance(value, Reference)}
    return names


def _of_class(written: Written) -> dict[str, object]:
    names = _names_around(inspect.currentframe())
    return {name: _forwardref(source, names) for name, source in written.items()}


def _of_function(written: Written) -> Callable[[F], F]:
    names = _names_around(inspect.currentframe())

    def annotate(function: F) -> F:
        function.__annotations__ = {name: _forwardref(source, names) for name, source in written.items()}
        return function

    return annotate


RUNTIME = {"__of_class__": _of_class, "__of_function__": _of_function, "__reference__": Reference}
"""What deferred source calls."""


class _Quoted(ast.NodeTransformer):
    """A string inside an annotation is a reference, too, which typing makes."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.value.id == "Literal":
            return node
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if not isinstance(node.value, str):
            return node
        return ast.Call(ast.Name("__reference__", ast.Load()), [node], [])


class _Deferred(ast.NodeTransformer):
    """Takes annotations out of classes and ``__init__``; the runtime puts in what Python 3.14 would give for them."""

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.generic_visit(node)
        bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
        if node.decorator_list or bases & {"BaseModel", "TypedDict", "NamedTuple", "Enum"}:
            return node  # others read these: how they do it on Python 3.14 is not what is tested here
        written: dict[str, str] = {}
        body: list[ast.stmt] = []
        for statement in node.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                written[statement.target.id] = _source(statement.annotation)
                if statement.value is None:
                    continue
                body.append(ast.Assign([statement.target], statement.value))
            else:
                body.append(statement)
        if written:
            body += ast.parse(f"__annotations__ = __of_class__({written!r})").body
        node.body = body or [ast.Pass()]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        if node.name != "__init__":
            return node
        written: dict[str, str] = {}
        named = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        for argument in (*named, node.args.vararg, node.args.kwarg):
            if argument is not None and argument.annotation is not None:
                written[argument.arg] = _source(argument.annotation)
                argument.annotation = None
        node.returns = None
        node.decorator_list.append(ast.parse(f"__of_function__({written!r})", mode="eval").body)
        return node


def _source(annotation: ast.expr) -> str:
    if isinstance(annotation, ast.Constant):
        return ast.unparse(annotation)  # all of it a string: Python leaves it one
    return ast.unparse(_Quoted().visit(annotation))


def deferring(source: str) -> ast.Module:
    """The module as Python 3.14 would execute it, given ``RUNTIME`` among its names."""
    module = ast.parse(source)
    _Deferred().visit(module)
    return ast.fix_missing_locations(module)


def emulate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Python answer like 3.14 if it is asked for signatures and annotations."""
    signature_now, annotations_now = inspect.signature, typing_extensions.get_annotations

    def check(annotations: Mapping[str, object], wanted: Format) -> None:
        if wanted is Format.VALUE:
            for annotation in annotations.values():
                for reference in _open(annotation):
                    raise NameError(f"name {reference.__forward_arg__!r} is not defined")

    def signature(
        function: Callable[..., object],
        *,
        annotation_format: Format = Format.VALUE,
        follow_wrapped: bool = True,
        eval_str: bool = False,
    ) -> inspect.Signature:
        check(getattr(function, "__annotations__", {}), annotation_format)
        return signature_now(function, follow_wrapped=follow_wrapped, eval_str=eval_str)

    def get_annotations(
        function: Callable[..., object],
        *,
        format: Format = Format.VALUE,  # noqa: A002
    ) -> dict[str, object]:
        found = cast("dict[str, object]", annotations_now(function, format=format))
        check(found, format)
        return found

    monkeypatch.setattr(inspect, "signature", signature)
    monkeypatch.setattr(typing_extensions, "get_annotations", get_annotations)
    monkeypatch.setattr("purse._declaration.metaclass.get_annotations", get_annotations)


def _open(annotation: object) -> list[Reference]:
    if isinstance(annotation, Reference):
        return [annotation]
    return [reference for part in get_args(annotation) for reference in _open(part)]
