"""Markdown tables of the results that `timing.save` writes."""

import json
from typing import Any

from benchmarks import timing


def read(name: str) -> dict[str, Any]:
  """Results of a benchmark, by its name."""
  return json.loads((timing.RESULTS / f'{name}.json').read_text())


def table(head: list[str], rows: list[list[str]]) -> str:
  """Markdown table of a head and rows of cells."""
  lines = [head, ['---'] * len(head), *rows]
  return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def section(title: str, results: dict[str, Any], body: str) -> str:
  """Section of a page: title, command, machine and body."""
  machine = results['machine']
  return (
    f'## {title}\n\n`{results["command"]}` on {machine["cpu_cores"]} cores'
    f' ({machine["kind"]}), Python {machine["python"]}, jax'
    f' {machine["jax"]}\n\n{body}\n'
  )
