"""The pages of the documentation, and their fenced blocks."""

import re
from dataclasses import dataclass
from textwrap import dedent

from tests.conftest import ROOT

_FENCE = re.compile(
    r"(?:^ *<!-- (?P<mark>[^\n]+?) -->\n+)?^(?P<indent> *)```(?P<language>\w+)[^\n]*\n"
    r"(?P<text>.*?)^(?P=indent)```",
    re.M | re.S,
)


@dataclass(frozen=True)
class Fence:
    """A fenced block of a page; `mark` is the HTML comment before it."""

    page: str
    line: int
    language: str
    mark: str
    text: str


def pages():
    """All pages of docs, and those beside them."""
    beside = ("README.md", "CONTRIBUTING.md", "examples/README.md", "cnn_models/README.md")
    return [*(ROOT / name for name in beside), *sorted((ROOT / "docs").rglob("*.md"))]


def fences(*languages):
    found = []
    for page in pages():
        content = page.read_text()
        for match in _FENCE.finditer(content):
            if match["language"] in languages:
                line = content.count("\n", 0, match.start("language")) + 1
                name, text = str(page.relative_to(ROOT)), dedent(match["text"])
                found.append(Fence(name, line, match["language"], match["mark"] or "", text))
    return found
