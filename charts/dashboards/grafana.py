"""Dashboards as Grafana wants them."""

import json
from collections.abc import Iterable

from dashboards.panels import Dashboard, Panel

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24

Json = dict[str, object]


def dashboard(source: Dashboard) -> Json:
    return {
        "uid": f"phoenix-{source.name}",
        "title": source.title,
        "tags": ["phoenix"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "utc",
        "links": [
            {"type": "dashboards", "tags": ["phoenix"], "title": "Phoenix", "asDropdown": False, "keepTime": True}
        ],
        "templating": {"list": list(_variables(source))},
        "panels": list(_panels(source)),
    }


def _variables(source: Dashboard) -> Iterable[Json]:
    yield {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    if source.variable is not None:
        name, query = source.variable
        yield {
            "name": name,
            "label": name.capitalize(),
            "type": "query",
            "datasource": SOURCE,
            "query": {"query": query, "refId": name},
            "refresh": 2,
            "sort": 1,
        }


def _panels(source: Dashboard) -> Iterable[Json]:
    number, y = 0, 0
    for heading, panels in source.rows:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": heading,
            "collapsed": False,
            "gridPos": _at(0, y, WIDTH, 1),
            "panels": [],
        }
        x, y = 0, y + 1
        for each in panels:
            number += 1
            height = 4 if each.kind == "stat" else 8
            if x + each.width > WIDTH:
                x, y = 0, y + height
            yield _panel(each, number, _at(x, y, each.width, height))
            x += each.width
        y += height


def _at(x: int, y: int, width: int, height: int) -> Json:
    return {"x": x, "y": y, "w": width, "h": height}


def _panel(panel: Panel, number: int, place: Json) -> Json:
    defaults: Json = {"unit": panel.unit}
    if panel.words:
        words = {str(value): {"text": word, "color": color} for value, word, color in panel.words}
        defaults["mappings"] = [{"type": "value", "options": words}]
    if panel.stacked:
        defaults["custom"] = {"stacking": {"mode": "normal"}, "fillOpacity": 40}
    targets = [
        {"refId": chr(ord("A") + position), "datasource": SOURCE, "expr": query, "legendFormat": legend}
        for position, (legend, query) in enumerate(panel.queries)
    ]
    made: Json = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": targets,
    }
    if panel.text:
        made["description"] = panel.text
    if panel.kind == "stat":
        options = {
            "colorMode": "background" if panel.words else "none",
            "reduceOptions": {"calcs": ["lastNotNull"]},
        }
        several = [legend for legend, _ in panel.queries] != [panel.title]
        made["options"] = options | ({"textMode": "value_and_name"} if several else {})
    return made


def render(source: Dashboard) -> str:
    return json.dumps(dashboard(source), indent=1, ensure_ascii=False) + "\n"
