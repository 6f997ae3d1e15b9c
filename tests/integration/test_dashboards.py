"""Dashboards in a real Evidently UI: made at the first snapshot, plotted in a real browser, and then a person's."""

import json
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from browser import needs_chromium, running_browser
from evidently.sdk.panels import text_panel
from evidently.ui.workspace import RemoteWorkspace
from machine import PATIENCE
from uis import UI, UI_SECRET

from .conftest import ROOT, environment, rows_trigger, run_collector, wait_until

REPORT = {
    "metrics": [
        "DataDriftPreset",
        "RowCount",
        "DatasetMissingValueCount",
        "Accuracy",
        "F1ByLabel",
        {"type": "UniqueValueCount", "column": "plan"},
        {"type": "MissingValueCount", "column": "age"},
        {"type": "QuantileValue", "column": "age", "quantile": 0.25},
        {"type": "QuantileValue", "column": "age", "quantile": 0.75},
    ]
}
DEFINITION = {
    "numerical_columns": ["age"],
    "categorical_columns": ["plan", "target", "prediction"],
    "classification": [{"target": "target", "prediction_labels": "prediction"}],
}
BATCHES = 3
ROWS = 60


def events(seed, rows=ROWS):
    chance = np.random.default_rng(seed)
    frame = pd.DataFrame({"age": chance.normal(40 + 5 * seed, 9, rows), "plan": chance.choice(["basic", "pro"], rows)})
    frame["target"] = chance.integers(0, 2, rows)
    return frame.assign(prediction=np.where(chance.random(rows) < 0.8, frame.target, 1 - frame.target))


def send_batches(daemon, name, batches=BATCHES):
    """Have batches delivered that differ in the second of their time, by which the UI tells them apart."""
    before = len(daemon.logs(name))
    for number in range(batches):
        daemon.client.send_data(name, events(number))
        daemon.wait_for_logs(name, before + number + 1)
        second = int(time.time())
        wait_until(lambda then=second: time.time() >= then + 1)


def dashboard_of(ui, project):
    return ui.http.get(f"/api/v2/dashboards/{project}").raise_for_status().json()


def wait_for_panels(ui, project, collectors):
    """Return a dashboard once it has panels of all these collectors."""

    def found():
        body = dashboard_of(ui, project)
        has = {value["metadata"]["collector"] for panel in body["panels"] for value in panel["values"]}
        return body if has == set(collectors) else None

    return wait_until(found, f"panels of {collectors}")


def points_of(ui, project, panel):
    """Ask for a panel's points as the UI does; return each series by the number of the panel's value that it is of."""
    names = ("tags", "metadata", "metric", "metric_labels")
    body = {"series_filter": [{name: value[name] for name in names} for value in panel["values"]]}
    answer = ui.http.post(f"/api/v2/snapshots/{project}/data_series_batch", json=body).raise_for_status().json()
    return {one["filter_index"]: one["values"] for one in answer["series"]}


@pytest.fixture(scope="module")
def shop(daemon, modern_ui):
    """A project with two collectors, one of which names it and one of which has its id; gives the id."""
    project = modern_ui.make_project("shop")
    where = {"api_url": modern_ui.url, "api_secret": UI_SECRET, "data_definition": DEFINITION}
    for name, of in (("churn", {"project_name": "shop"}), ("fraud", {"project_id": project})):
        daemon.create(name, trigger=rows_trigger(ROWS), report=REPORT, **where, **of)
        daemon.client.set_reference(name, events(0, 300))
        send_batches(daemon, name)
    wait_for_panels(modern_ui, project, ["churn", "fraud"])
    return project


def test_every_series_of_every_panel_has_a_point_for_each_snapshot_of_its_collector(modern_ui, shop):
    panels = [panel for panel in dashboard_of(modern_ui, shop)["panels"] if panel["values"]]
    titles = [panel["title"] for panel in panels]
    wanted = {"Share of drifted columns", "Rows per batch", "Share of missing values", "Quality of the classification"}
    assert wanted < set(titles)
    assert len(titles) == 2 * len(set(titles)) > 2 * len(wanted)
    for panel in panels:
        points = points_of(modern_ui, shop, panel)
        assert sorted(points) == list(range(len(panel["values"]))), panel["title"]
        assert all(len(values) == BATCHES for values in points.values()), panel["title"]


@needs_chromium
def test_a_browser_shows_the_project_its_plots_and_its_reports(daemon, modern_ui, shop, tmp_path):
    panels = dashboard_of(modern_ui, shop)["panels"]
    lines = [value for panel in panels for value in panel["values"] if panel["plot_params"]["plot_type"] == "line"]
    with running_browser() as browser:
        page = browser.open(f"{modern_ui.url}/projects/{shop}")
        page.wait_for(f"document.querySelectorAll('path.MuiLineElement-root').length == {len(lines)}")
        marks = page.eval("document.querySelectorAll('.MuiMarkElement-root').length")
        assert marks == BATCHES * len(lines)
        assert "This dashboard is currently empty" not in page.text()
        assert "Collector 'churn' computes DataDriftPreset, RowCount, " in page.text()
        page.screenshot(tmp_path / "dashboard.png")
        page.go(f"{modern_ui.url}/projects/{shop}/reports")
        page.wait_for(f"document.querySelectorAll('tbody tr').length == {2 * BATCHES}")
        page.screenshot(tmp_path / "reports.png")
        page.go(modern_ui.url)
        page.wait_for("document.body.innerText.includes('shop')")
        page.screenshot(tmp_path / "projects.png")
        assert page.complaints == []
    assert all((tmp_path / f"{name}.png").stat().st_size > 10_000 for name in ("dashboard", "reports", "projects"))


def test_what_a_person_removes_stays_removed_until_it_is_asked_for(daemon, modern_ui):
    """And a panel of a person's stays, with a tab of its own, which an Evidently UI allows once only."""
    project = modern_ui.make_project("removed")
    where = {"api_url": modern_ui.url, "api_secret": UI_SECRET, "project_id": project}
    daemon.create("removed", trigger=rows_trigger(ROWS), report={"metrics": ["RowCount"]}, **where)
    daemon.client.send_data("removed", events(0))
    wait_for_panels(modern_ui, project, ["removed"])
    theirs = RemoteWorkspace(modern_ui.url, secret=UI_SECRET).get_project(project).dashboard
    theirs.clear_dashboard()
    theirs.add_panel(text_panel(title="mine"), tab="My tab")
    send_batches(daemon, "removed", 2)
    assert [panel["title"] for panel in dashboard_of(modern_ui, project)["panels"]] == ["mine"]
    done = run_collector("dashboard", "removed", "--url", daemon.url, cwd=daemon.directory)
    assert done.stdout == "the dashboard has 2 panels of removed\n", done.stderr
    body = dashboard_of(modern_ui, project)
    assert [panel["title"] for panel in body["panels"]] == ["mine", "removed", "Rows per batch"]
    assert [tab["title"] for tab in body["tabs"]] == ["My tab"]


def test_a_running_ui_shows_the_dashboard_of_a_directory_at_its_next_request(daemon):
    ui = UI("ui", daemon.directory / "of_dashboards")
    try:
        project = ui.wait_up().make_project("shop")
        assert dashboard_of(ui, project) == {"tabs": [], "panels": []}
        where = {"api_url": "of_dashboards", "project_id": project}
        daemon.create("directory", trigger=rows_trigger(ROWS), report={"metrics": ["RowCount"]}, **where)
        daemon.client.send_data("directory", events(0))
        body = wait_for_panels(ui, project, ["directory"])
        assert json.loads((ui.directory / project / "dashboard.json").read_bytes()) == body
    finally:
        ui.close()


def test_a_workspace_that_refuses_dashboards_is_a_note_and_delivery_goes_on(daemon, modern_ui, make_proxy):
    proxy = make_proxy(modern_ui.url, lambda _method, path, _body: 503 if "dashboards" in path else None)
    where = {"api_url": proxy.url, "api_secret": UI_SECRET, "project_name": "unshown"}
    daemon.create("unshown", trigger=rows_trigger(ROWS), report={"metrics": ["RowCount"]}, **where)
    send_batches(daemon, "unshown", 2)
    [note] = daemon.wait_for_logs("unshown", 1, "MakeDashboard", ok=False)
    assert "answered 503" in note["error"]
    assert len(daemon.logs("unshown")) == 2
    answer = daemon.http.post("/unshown/dashboard")
    assert (answer.status_code, "answered 503" in answer.json()["detail"]) == (424, True)


@pytest.mark.slow  # a service, a UI and a browser for three pictures of the docs
@needs_chromium
def test_the_pictures_are_taken_by_their_script(tmp_path):
    command = [sys.executable, ROOT / "examples" / "ui_pictures.py", tmp_path]
    subprocess.run(command, env=environment(), check=True, timeout=PATIENCE, capture_output=True)
    for name in ("dashboard", "projects", "reports"):
        taken, kept = (folder / f"{name}.png" for folder in (tmp_path, ROOT / "examples" / "pictures"))
        assert taken.read_bytes()[16:24] == kept.read_bytes()[16:24]  # width and height
        assert min(taken.stat().st_size, kept.stat().st_size) > 10_000  # of an empty page it has less
