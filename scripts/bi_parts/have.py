"""What reports need and where it is: our binary, and Pythons with packages of PyPI, each in a folder of its own."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("TRIBUTARY", pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/tributary"))
# dbt-core 1.11 and later fetches a part of itself from elsewhere.
PACKAGES = {
    "duckdb": ("duckdb", ["duckdb==1.4.2"]),
    "page": ("duckdb_cli", ["duckdb-cli==1.5.6"]),
    "clickhouse": ("chdb", ["chdb==3.7.2"]),
    "consumers": ("confluent_kafka.schema_registry.protobuf, grpc_tools.protoc",
                  ["confluent-kafka[protobuf,schemaregistry]==2.16.1", "grpcio-tools==1.85.1", "protobuf==7.36.2"]),
    "dbt": ("dbt.adapters.duckdb, dbt.adapters.postgres", ["dbt-core==1.10.23", "dbt-duckdb==1.10.1", "dbt-postgres==1.10.2", "duckdb==1.4.2"]),
}


def say(text):
    print(text, file=sys.stderr, flush=True)


def python_of(name):
    """A Python that has the packages of that name; None where they cannot be had."""
    module, packages = PACKAGES[name]
    home = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "tributary/bi" / name
    python, note = home / "bin/python", home / "packages"
    same = note.exists() and note.read_text().split() == packages
    if same and python.exists() and subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode == 0:
        return python
    shutil.rmtree(home, ignore_errors=True)
    for command in ([sys.executable, "-m", "venv", home], [python, "-m", "pip", "install", "--quiet", *packages]):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            say(f"bi: {name} is not to be had: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
            return None
    note.write_text("\n".join(packages))
    return python


def made_of_models(database):
    """The views and tests that deploy/bi/dbt makes for a database; None where its language cannot be read here."""
    python = python_of("dbt")
    if python is None:
        return None
    done = subprocess.run([python, ROOT / "scripts/bi_parts/views.py", database], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)
