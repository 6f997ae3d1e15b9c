from collector import __version__


async def test_the_document_names_every_route(service):
    answer = await service.http.get("/schema/openapi.json")
    document = answer.json()
    routes = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert routes == {
        ("get", "/"),
        ("get", "/livez"),
        ("get", "/readyz"),
        ("post", "/-/reload"),
        ("get", "/metrics"),
        ("get", "/schema/openapi.json"),
        ("post", "/{collector_id}"),
        ("get", "/{collector_id}"),
        ("delete", "/{collector_id}"),
        ("post", "/{collector_id}/data"),
        ("post", "/{collector_id}/batches"),
        ("post", "/{collector_id}/labels"),
        ("post", "/{collector_id}/reference"),
        ("post", "/{collector_id}/flush"),
        ("post", "/{collector_id}/dashboard"),
        ("post", "/{collector_id}/rename"),
        ("get", "/{collector_id}/logs"),
        ("get", "/{collector_id}/tap"),
        ("get", "/{collector_id}/snapshots"),
        ("get", "/{collector_id}/failed"),
        ("post", "/{collector_id}/failed"),
    }
    assert (answer.status_code, document["info"]["version"]) == (200, __version__)


async def test_each_route_says_what_it_does(service):
    paths = (await service.http.get("/schema/openapi.json")).json()["paths"]
    assert all(route.get("summary") for methods in paths.values() for route in methods.values())


async def test_each_answer_has_a_model_and_errors_have_their_media_type(service):
    paths = (await service.http.get("/schema/openapi.json")).json()["paths"]
    answers = [
        answer for methods in paths.values() for route in methods.values() for answer in route["responses"].items()
    ]
    assert len(answers) > 50
    for status, answer in answers:
        assert all(content["schema"] for content in answer["content"].values())
        is_json = ("application/problem+json" if int(status) >= 400 else "application/json") in answer["content"]
        assert is_json or answer["content"].keys() == {"text/plain", "application/openmetrics-text"}


async def test_what_may_be_too_much_is_told_on_the_routes_that_take_bodies(service):
    paths = (await service.http.get("/schema/openapi.json")).json()["paths"]
    assert {"413", "422", "429", "503", "507"} <= set(paths["/{collector_id}/data"]["post"]["responses"])
