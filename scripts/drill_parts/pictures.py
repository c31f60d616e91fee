"""Draws the dashboards of a run that Prometheus has scraped: each panel with what its queries answer, where Grafana would put it. It is not
Grafana that draws; matplotlib comes from PyPI into a folder of its own, whose Python runs this file.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DASHBOARDS = ("overview", "internals", "business")
# Of the variables of the dashboards.
VALUES = {"__rate_interval": "15s", "job": "tributary.*", "kind": "closed_won", "model": "linear"}
FACTORS = [("bytes", 1e9, "GB"), ("bytes", 1e6, "MB"), ("s", 86400, "d"), ("s", 3600, "h"), ("percentunit", 0.01, "%")]
COLOURS = ("#3274d9", "#56a64b", "#e0b400", "#e02f44", "#8f3bb8", "#ff780a", "#00b0b5", "#705da0", "#a16a00", "#5f6b7a")


def answers(ask, dashboard, seconds):
    """The panels of a dashboard, each with its series: a legend, and points of time and value."""
    for panel in dashboard["panels"]:
        series = []
        for target in panel.get("targets", []):
            query = re.sub(r"\$(\w+)", lambda name: VALUES[name[1]], target["expr"])
            for one in ask(query, None if target["instant"] else seconds):
                legend = re.sub(r"{{(\w+)}}", lambda name: one["metric"].get(name[1], ""), target["legendFormat"])
                points = one.get("values") or [one["value"]]
                series.append((legend, [(time, float(value)) for time, value in points if value != "NaN"]))
        title = re.sub(r"\$(\w+)", lambda name: VALUES[name[1]], panel["title"])
        yield {"title": title, "type": panel["type"], "place": panel["gridPos"], "series": series,
               "unit": panel.get("fieldConfig", {}).get("defaults", {}).get("unit", "none")}


def draw(world, folder, seconds):
    """Writes a picture of each dashboard. Returns whether it could."""
    tools = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "tributary" / "pictures"
    python = tools / "bin" / "python"
    if not python.exists():
        made = subprocess.run(["python3", "-m", "venv", tools]).returncode == 0
        if not made or subprocess.run([tools / "bin" / "pip", "install", "--quiet", "matplotlib==3.11.2"]).returncode:
            return False
    for name in DASHBOARDS:
        dashboard = json.loads((ROOT / "deploy/grafana" / f"{name}.json").read_text())
        panels = list(answers(world.ask, dashboard, seconds))
        given = json.dumps({"title": dashboard["title"], "file": str(folder / f"{name}.png"), "panels": panels})
        subprocess.run([python, __file__], input=given, text=True, check=True)
    return True


def shown(value, unit):
    for of, factor, name in FACTORS:
        if of == unit and abs(value) >= factor:
            return f"{value / factor:.3g} {name}"
    number = f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"
    return number + {"s": " s", "percentunit": ""}.get(unit, "")


def lines(axes, panel):
    for at, (legend, points) in enumerate(panel["series"]):
        start = points[0][0] if points else 0
        axes.plot([time - start for time, _ in points], [value for _, value in points], label=legend, linewidth=1, color=COLOURS[at % len(COLOURS)])
    axes.yaxis.set_major_formatter(lambda value, _: shown(value, panel["unit"]))
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    if len(panel["series"]) <= 8:
        axes.legend(fontsize=5, loc="upper left", framealpha=0.5)


def rows(axes, panel):
    """Bars, numbers and tables: the largest first."""
    latest = [(legend, points[-1][1]) for legend, points in panel["series"] if points]
    latest = sorted(latest, key=lambda one: -one[1])[:10]
    if panel["type"] == "stat":
        axes.axis("off")
        axes.text(0.5, 0.45, "\n".join(shown(value, panel["unit"]) for _, value in latest), ha="center", va="center", fontsize=16)
        return
    axes.barh([legend for legend, _ in latest], [value for _, value in latest], color=COLOURS[0])
    axes.invert_yaxis()
    for at, (_, value) in enumerate(latest):
        axes.text(value, at, f" {shown(value, panel['unit'])}", va="center", fontsize=5)


def picture(given):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    height = max(panel["place"]["y"] + panel["place"]["h"] for panel in given["panels"])
    figure = pyplot.figure(figsize=(13, height * 0.33), dpi=75)
    for panel in given["panels"]:
        place = panel["place"]
        at = [place["x"] / 24, 1 - (place["y"] + place["h"]) / height, place["w"] / 24, place["h"] / height]
        if panel["type"] == "row":
            figure.text(at[0] + 0.004, at[1] + at[3] / 3, panel["title"], fontsize=10, weight="bold")
            continue
        margin = 0.09 if panel["type"] in ("bargauge", "table") else 0.035
        axes = figure.add_axes([at[0] + margin, at[1] + 0.18 * at[3], at[2] - margin - 0.012, at[3] * 0.66])
        axes.set_title(panel["title"], fontsize=7, loc="left")
        axes.tick_params(labelsize=5)
        (lines if panel["type"] == "timeseries" else rows)(axes, panel)
    figure.savefig(given["file"])


if __name__ == "__main__":
    picture(json.load(sys.stdin))
