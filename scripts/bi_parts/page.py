"""Runs every command of the pages that lead to reports, in their order."""

import os
import re
import subprocess
import time

from bi_parts.have import BINARY, ROOT, python_of

PAGES = ["docs/analyst.md", "docs/quickstart.md"]
TEN_MINUTES = 600


def commands(text):
    """The blocks of a page that a shell runs."""
    return re.findall(r"^```sh\n(.*?)^```", text, flags=re.S | re.M)


def run(folder):
    """By page how many blocks of commands it has and how many seconds they took, or None where DuckDB's command line cannot be had."""
    python = python_of("page")
    return python and {page: run_page(page, folder / page.replace("/", "-"), python) for page in PAGES}


def run_page(page, home, python):
    home.mkdir()
    (home / "deploy").symlink_to(ROOT / "deploy")
    (home / "bin").mkdir()
    (home / "bin/tributary").symlink_to(BINARY.resolve())
    environment = dict(os.environ, PATH=f"{home / 'bin'}:{python.parent}:{os.environ['PATH']}")
    begun, blocks = time.monotonic(), commands((ROOT / page).read_text())
    for block in blocks:
        done = subprocess.run(["bash", "-euc", block], cwd=home, env=environment, capture_output=True, text=True)
        # Each query of the page must return rows.
        asks = "duckdb" in block and " -c " in block
        if done.returncode or (asks and (not done.stdout.strip() or re.search(r"\b0 rows", done.stdout))):
            raise SystemExit(f"bi: {page}:\n{block}\n{done.stdout}{done.stderr}")
    seconds = time.monotonic() - begun
    if len(blocks) < 5 or seconds > TEN_MINUTES:
        raise SystemExit(f"bi: {page} has {len(blocks)} blocks of commands, which took {seconds:.0f} s; it promises ten minutes")
    return len(blocks), seconds
