"""The pages of the documentation, as tests read them."""

import re
from pathlib import Path
from typing import NamedTuple

#: A fenced block, from its first fence to its last.
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block of a page; `line` is where it starts."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        """How a test calls it."""
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, found["language"], found["text"])
        for found in BLOCK.finditer(text)
    ]


def rows(page: Path) -> list[list[str]]:
    """The rows of all tables of a page, as cells."""
    lines = page.read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
