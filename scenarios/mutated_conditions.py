"""One-line changes of a condition: a comparison turned, a number doubled or halved, a part left out or said the other
way round. Text in, texts out; whether one of them is a condition is for the policy's own checks to say."""

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

TURNED: dict[type[ast.cmpop], str] = {
    ast.Lt: ">=",
    ast.LtE: ">",
    ast.Gt: "<=",
    ast.GtE: "<",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.In: "not in",
    ast.NotIn: "in",
}


def mutated_condition(written: str, numbers: Callable[[str], Sequence[str]]) -> Iterator[str]:
    """Changes of a condition that holds as written. numbers: what may stand in place of a number."""
    condition = Condition(" ".join(written.split()))
    root = ast.parse(condition.text, mode="eval").body
    yield from condition.denied(root)
    for node in ast.walk(root):
        yield from condition.changes(node, numbers)


@dataclass(frozen=True)
class Condition:
    """The text of a condition, in which places are bytes, as the parser counts them."""

    text: str

    def changes(self, node: ast.AST, numbers: Callable[[str], Sequence[str]]) -> Iterator[str]:
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            for before, compare, after in zip(sides, node.ops, node.comparators, strict=False):
                yield self.put(f" {TURNED[type(compare)]} ", end_of(before), start_of(after))
            yield from self.other_numbers(sides, numbers)
        elif isinstance(node, ast.BoolOp):
            for part in node.values:
                yield self.put(self.joined(node, part), start_of(node), end_of(node))
                yield from self.denied(part)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield self.put(self.source(node.operand), start_of(node), end_of(node))

    def denied(self, node: ast.AST) -> Iterator[str]:
        """A fact or segment that is named alone, said the other way round."""
        if isinstance(node, ast.Name | ast.Attribute):
            yield self.put(f"not {self.source(node)}", start_of(node), end_of(node))

    def other_numbers(self, sides: Sequence[ast.expr], numbers: Callable[[str], Sequence[str]]) -> Iterator[str]:
        for side in sides:
            if isinstance(side, ast.Constant) and isinstance(side.value, int | float) and side.value is not True:
                for number in numbers(self.source(side)):
                    yield self.put(number, start_of(side), end_of(side))

    def joined(self, node: ast.BoolOp, left_out: ast.expr) -> str:
        word = " and " if isinstance(node.op, ast.And) else " or "
        return word.join(self.source(part) for part in node.values if part is not left_out)

    def source(self, node: ast.AST) -> str:
        """The text of a part, in the parentheses that the parser leaves out."""
        inside = self.text.encode()[start_of(node) : end_of(node)].decode()
        return f"({inside})" if isinstance(node, ast.BoolOp) else inside

    def put(self, inside: str, start: int, end: int) -> str:
        """With something else in a place."""
        around = self.text.encode()
        head, tail = around[:start].decode(), around[end:].decode()
        return " ".join(f"{head}{inside}{tail}".split())


def start_of(node: ast.AST) -> int:
    return int(getattr(node, "col_offset", 0))


def end_of(node: ast.AST) -> int:
    return int(getattr(node, "end_col_offset", 0))
