"""Each database, with the tables and views of deploy/bi, and what they say of the same history.

A database takes the credit updates in portions, as they were committed one after another, and answers the probe after each: how many rows of
`credit_by_month` are not the sums of deltas. Then it answers all queries.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess

from bi_parts.have import ROOT, python_of, say

PORTIONS = 5


def lines(file):
    with open(file) as text:
        return [json.loads(line) for line in text]


def in_python(database, folder, program):
    python = python_of(database)
    if python is None:
        return None
    file = folder / f"ask_{database}.py"
    file.write_text(program)
    done = subprocess.run([python, file], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"bi: {database}: {done.stderr}")
    return json.loads(done.stdout)


def duckdb(folder, queries, probe):
    return in_python("duckdb", folder, f"""
import duckdb, json, pathlib
database = duckdb.connect()
database.execute(pathlib.Path({str(ROOT / "deploy/bi/duckdb.sql")!r}).read_text())
count, moments = database.execute("SELECT count(*) FROM credit_updates").fetchone()[0], []
for portion in range({PORTIONS} if {probe!r} else 0):
    database.execute("CREATE OR REPLACE VIEW credit_updates AS SELECT * EXCLUDE (file_row_number) "
        "FROM read_parquet('export/credits.parquet', file_row_number = true) WHERE file_row_number < " + str(count * (portion + 1) // {PORTIONS}))
    moments.append(database.execute({probe!r}).fetchone()[0])
print(json.dumps({{"moments": moments, "views": {{view: database.execute(query).fetchall() for view, query in {queries!r}.items()}}}}))
""")


def clickhouse(folder, queries, probe):
    text = (ROOT / "deploy/bi/clickhouse.sql").read_text()
    text = re.sub(r"-- kafka:begin.*-- kafka:end", "", text, flags=re.S)
    statements = [statement for statement in re.sub(r"--[^\n]*", "", text).split(";") if statement.strip()]
    return in_python("clickhouse", folder, f"""
import json
from chdb.session import Session
session = Session({str(folder / "clickhouse")!r})
session.query("CREATE DATABASE IF NOT EXISTS attribution ENGINE = Atomic; USE attribution;")
for statement in {statements!r}:
    session.query(statement)
def rows(query):
    answer = str(session.query(query, "JSONCompactEachRow"))
    return [json.loads(line) for line in answer.splitlines()]
for table, file in [("spend_rows", "spend"), ("touchpoint_rows", "touchpoints"), ("milestone_rows", "milestones")]:
    # Twice: what is read again after a failure changes nothing.
    for _ in range(2):
        session.query(f"INSERT INTO {{table}} SELECT * FROM file('{folder}/results/{{file}}.ndjson', 'JSONEachRow')")
moments = []
for portion in range({PORTIONS}):
    for _ in range(2):
        session.query(f"INSERT INTO credit_updates SELECT * FROM file('{folder}/portions/{{portion}}.ndjson', 'JSONEachRow')")
    moments.append(int(rows({probe!r})[0][0]))
print(json.dumps({{"moments": moments, "views": {{view: rows(query) for view, query in {queries!r}.items()}}}}))
""")


class Postgres:
    """A server that is there for a while."""

    def __init__(self, folder):
        self.data, self.home = folder / "postgres", next(iter(sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
        self.as_user = []

    def __enter__(self):
        self.data.mkdir()
        if os.getuid() == 0:
            # It refuses to run as root.
            shutil.chown(self.data, "postgres")
            self.data.parent.chmod(0o755)
            self.as_user = ["runuser", "-u", "postgres", "--"]
        self.run(self.home / "initdb", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--username=postgres", self.data)
        options = f"-k {self.data} -c listen_addresses= -c fsync=off"
        self.run(self.home / "pg_ctl", "--wait", f"--pgdata={self.data}", f"--options={options}", f"--log={self.data}/log", "start")
        return self

    def __exit__(self, *_):
        self.run(self.home / "pg_ctl", f"--pgdata={self.data}", "--mode=immediate", "stop")

    def run(self, *command, **more):
        done = subprocess.run([*self.as_user, *map(str, command)], capture_output=True, text=True, **more)
        if done.returncode:
            raise SystemExit(f"bi: PostgreSQL: {done.stderr}")
        return done.stdout

    def sql(self, text, *more):
        fixed = ["--no-psqlrc", "--quiet", f"--host={self.data}", "--username=postgres", "--set=ON_ERROR_STOP=1"]
        return self.run(self.home / "psql", *fixed, *more, "postgres", input=text)

    def ask(self, query):
        """The rows of a query, as JSON."""
        found = self.sql(f"SELECT to_json(answer) FROM ({query}) AS answer", "--tuples-only", "--no-align")
        return [list(json.loads(line).values()) for line in found.splitlines() if line]

    def take(self, function, rows, times=2):
        """Has a function take rows: twice, for what is delivered again changes nothing."""
        text = "".join(json.dumps(row).replace("\\", "\\\\") + "\n" for row in rows)
        self.sql(f"CREATE TEMP TABLE said (line jsonb);\nCOPY said FROM STDIN;\n{text}\\.\n" + f"SELECT count({function}(line)) FROM said;\n" * times)


def postgres(folder, queries, probe, then=lambda server: None):
    server = Postgres(folder)
    if server.home is None:
        say("bi: PostgreSQL is not to be had: apt-get install postgresql")
        return None
    with server:
        server.sql((ROOT / "deploy/bi/postgres.sql").read_text())
        for function, file in [("take_spend", "spend"), ("take_touchpoint", "touchpoints"), ("take_milestone", "milestones")]:
            server.take(function, lines(folder / f"results/{file}.ndjson"))
        moments = []
        for portion in range(PORTIONS):
            server.take("take_credit", lines(folder / f"portions/{portion}.ndjson"), 1 if portion else 2)
            if probe:
                moments.append(server.ask(probe)[0][0])
        then(server)
        return {"moments": moments, "views": {view: server.ask(query) for view, query in queries.items()}}


DATABASES = {"duckdb": duckdb, "postgres": postgres, "clickhouse": clickhouse}
