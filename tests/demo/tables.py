"""What the demo prints about the searches."""

from typing import Final

from rich.table import Table

from tests.demo.searches import Comparison, Hit

SHOWN: Final = 5


def comparison_table(comparison: Comparison) -> Table:
    """Put the first hits without and with the reranker side by side; the right answer is marked."""
    table = Table(title=f"{comparison.title}: {comparison.question}", title_justify="left", title_style="bold")
    table.add_column("#", justify="right")
    table.add_column("without the reranker")
    table.add_column("with the reranker")
    for place in range(SHOWN):
        table.add_row(
            str(place + 1),
            _cell(comparison.before[place], comparison.answer),
            _cell(comparison.after[place], comparison.answer),
        )
    if comparison.rank_before > SHOWN:
        table.add_section()
        before = comparison.before[comparison.rank_before - 1]
        table.add_row(str(comparison.rank_before), _cell(before, comparison.answer), "")
    return table


def verdict(shown: list[Comparison], all_questions: list[Comparison]) -> str:
    """Say in words what the tables show, and what all questions together show."""
    moves = " and ".join(
        f"from rank {comparison.rank_before} to rank {comparison.rank_after} in the {comparison.title}"
        for comparison in shown
    )
    before = sum(comparison.rank_before == 1 for comparison in all_questions)
    after = sum(comparison.rank_after == 1 for comparison in all_questions)
    return (
        f"The right answer went {moves}. Over all {len(all_questions)} questions the vector search has the "
        f"right answer first {before} times without and {after} times with the reranker."
    )


def _cell(hit: Hit, answer: str) -> str:
    text = f"{hit.score:.3f}  {hit.text}"
    return f"[bold green]{text}  ✔[/]" if hit.text == answer else text
