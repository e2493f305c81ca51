"""Markdown of the results that `timing.save` keeps."""

import json
from typing import Any

from benchmarks import timing


def read(name: str) -> dict[str, Any]:
  """One benchmark's results."""
  return json.loads((timing.RESULTS / f'{name}.json').read_text())


def table(head: list[str], rows: list[list[str]]) -> str:
  """A Markdown table."""
  lines = [head, ['---'] * len(head), *rows]
  return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def section(title: str, results: dict[str, Any], body: str) -> str:
  """A titled table with the command and the machine it was made on."""
  machine = results['machine']
  return (
    f'## {title}\n\n`{results["command"]}` on {machine["cpu_cores"]} cores'
    f' ({machine["kind"]}), Python {machine["python"]}, jax'
    f' {machine["jax"]}\n\n{body}\n'
  )
