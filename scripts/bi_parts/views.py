"""Makes the views of deploy/bi/*.sql of the models of deploy/bi/dbt, so that both say the same: a model's SQL, its description as comment.

Run by the Python of dbt, for Jinja and YAML: views.py DATABASE prints the views, the project's tests and a report by own dimensions as JSON.
"""

import json
import pathlib
import sys
import textwrap

import jinja2
import yaml

PROJECT = pathlib.Path(__file__).resolve().parents[2] / "deploy/bi/dbt"


# What an operator writes who has dimensions of these names.
BY_DIMENSIONS = "{{ credit_by(['channel', 'dimensions.product', 'milestone_dimensions.region']) }}"


class Dialect:
    """What dbt calls `adapter`: of a macro the database's own, else the one for all."""

    def __init__(self, name):
        self.name, self.macros = name, None

    def dispatch(self, macro):
        own = getattr(self.macros, f"{self.name}__{macro}", None)
        return own or getattr(self.macros, f"default__{macro}")


def renderer(database):
    """Makes SQL of a file of the project, as dbt would for a database."""
    settings = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
    dialect = Dialect(database)
    jinja = jinja2.Environment(undefined=jinja2.StrictUndefined)
    jinja.globals |= {"adapter": dialect, "ref": lambda name: name, "source": lambda _, table: table, "var": lambda name: settings[name]}
    jinja.globals |= {"return": lambda value: value, "config": lambda **_: ""}
    dialect.macros = jinja.from_string("".join(file.read_text() for file in sorted((PROJECT / "macros").glob("*.sql")))).module
    jinja.globals |= {name: macro for name, macro in vars(dialect.macros).items() if not name.startswith("_")}
    return lambda text: jinja.from_string(text).render().strip()


def views(render):
    """The statements that make the views, in the order of models.yml."""
    files = {file.stem: file for file in PROJECT.glob("models/*/*.sql")}
    made = []
    for model in yaml.safe_load((PROJECT / "models/models.yml").read_text())["models"]:
        about = textwrap.fill(model["description"], 140, initial_indent="-- ", subsequent_indent="-- ")
        made.append(f"{about}\nCREATE OR REPLACE VIEW {model['name']} AS\n{render(files.pop(model['name']).read_text())};\n")
    if files:
        raise SystemExit(f"models/models.yml says nothing of {', '.join(files)}")
    return "\n".join(made)


if __name__ == "__main__":
    render = renderer(sys.argv[1])
    tests = {file.stem: render(file.read_text()) for file in sorted(PROJECT.glob("tests/*.sql"))}
    print(json.dumps({"views": views(render), "tests": tests, "by_dimensions": render(BY_DIMENSIONS)}))
