"""Finds decisions that hang on the text of an error, a notice or a reason: that text is for people and may be reworded.

A text counts as one for people when it is read from an attribute or a name in `TEXTS`, or made from an exception with
``str``, ``repr`` or an f-string, or assigned from such a text within the same function.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TEXTS = frozenset({"sentence", "hint", "why_read_only", "why", "reason", "notice", "remark", "advice"})
"""Attributes and names that hold text for people."""

SHOWING = frozenset({"encode", "format"})
"""Methods of a text that only show it."""

PASSING = frozenset({"_", "plain", "readable", "as_sentence", "escape"})
"""Functions that return the text that they are given, for another place where it is shown."""


def decisions_on_text(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and kind of every place where a text for people is compared, searched, cut or taken apart."""
    for function in _scopes(tree):
        texts = _Texts(function)
        for node in _own(function):
            kind = texts.decision(node)
            if kind:
                yield node.lineno, kind  # type: ignore[attr-defined]  # only expressions are found


def in_file(file: Path) -> list[tuple[int, str]]:
    """The same of a file, in order."""
    return sorted(set(decisions_on_text(ast.parse(file.read_text(encoding="utf-8")))))


def _scopes(tree: ast.Module) -> Iterator[ast.AST]:
    yield tree
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a module or function without those of the functions in it."""
    for node in ast.iter_child_nodes(scope):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
            yield from _own(node)


class _Texts:
    """What is a text for people within one function."""

    def __init__(self, scope: ast.AST) -> None:
        self.errors = {node.name for node in _own(scope) if isinstance(node, ast.ExceptHandler) and node.name}
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            self.errors |= {one.arg for one in scope.args.args if _is_error(one.annotation)}
        self.names: set[str] = set()
        before = -1
        while before != len(self.names):  # a text may go through several names
            before = len(self.names)
            for node in _own(scope):
                if isinstance(node, ast.Assign) and self.is_text(node.value):
                    self.names |= {one.id for one in node.targets if isinstance(one, ast.Name)}

    def is_text(self, node: ast.AST) -> bool:
        """Whether an expression is a text for people."""
        match node:
            case ast.Attribute(attr=name):
                return name in TEXTS or (name == "args" and self._is_error(node.value))
            case ast.Name(id=name):
                return name in TEXTS or name in self.names
            case ast.Call(func=ast.Name(id="str" | "repr"), args=[one]):
                return self._is_error(one) or self.is_text(one)
            case ast.Call(func=ast.Name(id=name), args=[one, *_]) if name in PASSING:
                return self.is_text(one)
            case ast.JoinedStr(values=parts):
                return any(isinstance(one, ast.FormattedValue) and self._shows(one.value) for one in parts)
            case ast.Call(func=ast.Attribute(value=value)):
                return self.is_text(value)  # cut once and used further: found there already
            case ast.BoolOp(values=values):
                return any(self.is_text(one) for one in values)
            case ast.IfExp(body=first, orelse=second):
                return self.is_text(first) or self.is_text(second)
            case ast.BinOp(left=first, op=ast.Add(), right=second):
                return self.is_text(first) or self.is_text(second)
        return False

    def _shows(self, node: ast.AST) -> bool:
        return self._is_error(node) or self.is_text(node)

    def _is_error(self, node: ast.AST) -> bool:
        return (isinstance(node, ast.Name) and node.id in self.errors) or (
            isinstance(node, ast.Attribute) and node.attr == "error"
        )

    def decision(self, node: ast.AST) -> str:
        """What an expression does with a text for people beyond showing it, or an empty string."""
        match node:
            case ast.Compare(left=left, ops=ops, comparators=others):
                compared = not all(isinstance(one, ast.Is | ast.IsNot) for one in ops)
                return "compared" if compared and any(self.is_text(one) for one in (left, *others)) else ""
            case ast.Call(func=ast.Attribute(value=ast.Name(id="re")), args=given):
                return "matched" if any(self.is_text(one) for one in given) else ""
            case ast.Call(func=ast.Attribute(value=value, attr=name)) if name not in SHOWING:
                return f".{name}()" if self.is_text(value) else ""
            case ast.Subscript(value=value, ctx=ast.Load()):
                return "cut" if self.is_text(value) else ""
        return ""


def _is_error(annotation: ast.AST | None) -> bool:
    words = ast.unparse(annotation) if annotation is not None else ""
    return any(one.strip().endswith(("Error", "Exception", "BadInput")) for one in words.split("|"))
