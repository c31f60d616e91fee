"""Builds and tests the dbt project of deploy/bi/dbt, on DuckDB over an export and on PostgreSQL over its tables."""

import json
import os
import subprocess

from bi_parts.have import ROOT, python_of

PROJECT = ROOT / "deploy/bi/dbt"


def build(folder, target, environment):
    """Builds all models and runs all tests; returns how many of each there were, or None where dbt cannot be had."""
    python = python_of("dbt")
    if python is None:
        return None
    home = folder / f"dbt-{target}"
    own = {"DBT_TARGET_PATH": home / "target", "DBT_LOG_PATH": home / "logs", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", **environment}
    own |= {"TRIBUTARY_EXPORT": folder / "export", "TRIBUTARY_DUCKDB": folder / "marts.db"}
    command = [python.parent / "dbt", "build", "--project-dir", PROJECT, "--profiles-dir", PROJECT, "--target", target, "--no-use-colors"]
    done = subprocess.run(command, env=dict(os.environ, **{key: str(value) for key, value in own.items()}), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"bi: dbt on {target}:\n{done.stdout}{done.stderr}")
    results = json.loads((home / "target/run_results.json").read_text())["results"]
    kinds = [result["unique_id"].split(".")[0] for result in results]
    return kinds.count("model"), kinds.count("test")
