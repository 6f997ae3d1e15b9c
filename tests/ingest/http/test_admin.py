import json

import pytest
from fakes import collector_config

from collector.config.masking import MASK
from collector.formats.bounds import SMALL_BODY
from collector.ingest.http.admin import MAX_CONFIG

ROW = b'{"a": {"0": 1}}'


@pytest.mark.parametrize(("size", "status"), [(SMALL_BODY * 2, 201), (MAX_CONFIG - 1000, 201), (MAX_CONFIG, 413)])
async def test_a_config_may_be_large_but_not_without_end(service, size, status):
    report = {"metrics": ["RowCount"], "metadata": {"note": "x" * size}}
    answer = await service.http.post("/main", json=collector_config().model_dump() | {"report_config": report})
    assert answer.status_code == status


@pytest.mark.parametrize(
    "path", ["/livez", "/schema", "/metrics", "/..%2e", "/a..b", "/%00nul", "/%0A", f"/{'x' * 129}"]
)
async def test_an_id_that_can_be_none_is_refused(service, path):
    answer = await service.http.post(path, json=collector_config().model_dump())
    assert answer.status_code in {400, 405}
    assert list(service.supervisor.config.collectors) == ["main"]


@pytest.mark.parametrize("path", ["/with%20space", "/%D0%BC%D0%BE%D0%B4%D0%B5%D0%BB%D1%8C", f"/{'x' * 128}"])
async def test_an_id_is_what_its_path_says_decoded(service, path):
    created = await service.http.post(path, json=collector_config().model_dump())
    assert created.status_code == 201
    assert (await service.http.get(path)).json() == created.json()
    assert (await service.post(f"{path}/data", ROW)).status_code == 201
    assert service.rows(created.json()["id"]) == 1


async def test_a_secret_is_masked_in_every_answer_and_kept_when_the_mask_comes_back(service):
    config = collector_config().model_dump() | {"api_secret": "hunter2"}
    answers = [
        await service.http.post("/new", json=config),
        await service.http.get("/new"),
        await service.http.post("/new", json=config | {"api_secret": MASK, "project_id": "p"}),
        await service.http.get("/"),
    ]
    assert not any("hunter2" in answer.text for answer in answers)
    kept = service.supervisor.config.collectors["new"]
    assert (kept.api_secret, kept.project_id) == ("hunter2", "p")


async def test_a_mask_for_a_new_collector_is_refused(service):
    answer = await service.http.post("/new", json=collector_config().model_dump() | {"api_secret": MASK})
    assert (answer.status_code, answer.json()["extra"][0]["key"]) == (400, "api_secret")
    assert "new" not in service.supervisor.config.collectors


@pytest.mark.parametrize("secret", [MASK, "${THE_SECRET}"])
async def test_a_client_cannot_have_a_secret_sent_to_itself(service, monkeypatch, secret):
    """One that it doesn't know, to an address of its own."""
    monkeypatch.setenv("THE_SECRET", "s3cret")
    known = collector_config().model_copy(update={"id": "main", "api_secret": "${THE_SECRET}"})
    await service.supervisor.put(known)
    same = await service.http.post("/main", json=known.model_dump() | {"api_secret": secret})
    elsewhere = known.model_dump() | {"api_secret": secret, "api_url": "http://127.0.0.1:9"}
    assert (same.status_code, (await service.http.post("/main", json=elsewhere)).status_code) == (201, 400)
    assert service.supervisor.config.collectors["main"] == known


async def test_a_client_cannot_name_a_variable_of_the_environment(service):
    answer = await service.http.post("/main", json=collector_config().model_dump() | {"api_secret": "${PATH}"})
    assert answer.status_code == 400


async def test_a_config_keeps_what_waits(service):
    await service.post("/main/data", ROW)
    await service.http.post("/main", json=collector_config().model_dump() | {"project_id": "p"})
    assert service.rows() == 1


async def test_what_a_client_posts_is_marked_and_what_the_operator_allowed_stays_allowed(service):
    """One that posts back what it was shown takes nothing away; one that names another path is confined."""
    allowed = collector_config().model_copy(update={"id": "main", "reference_path": "/data/reference.parquet"})
    await service.supervisor.put(allowed)
    shown = (await service.http.get("/main")).json()
    assert (await service.http.post("/main", json=shown)).status_code == 201
    assert not service.supervisor.config.collectors["main"].is_posted
    answer = await service.http.post("/main", json=shown | {"reference_path": "/etc/passwd"})
    assert (answer.status_code, "is_posted" in answer.json()) == (201, False)
    assert service.supervisor.config.collectors["main"].is_posted
    assert (await service.http.post("/main", json=shown | {"is_posted": False})).status_code == 400


async def test_a_reference_without_rows_is_refused(service):
    """It would stop the collector's reports until another comes."""
    answer = await service.post("/main/reference", b'{"a": []}')
    assert answer.status_code == 400
    assert "has no rows" in answer.json()["detail"]
    assert service.supervisor.references == []


@pytest.mark.parametrize("depth", [100, 240, 400, 700, 950, 1_100, 20_000])
async def test_a_report_of_any_depth_is_taken_or_refused_in_words(service, depth):
    body = json.dumps(collector_config().model_dump() | {"report_config": {"metrics": ["RowCount"], "options": [0]}})
    deep = body.replace('"options": [0]', f'"options": {"[" * depth}{"]" * depth}')
    answer = await service.post("/deep", deep.encode())
    assert answer.status_code in {201, 400}
    assert (await service.http.get("/deep")).status_code == (200 if answer.status_code == 201 else 404)
