"""The one door for developers: ``nox`` checks everything, ``nox -s tests-3.12`` one thing."""

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "tests"]

# quart-trio breaks on new minors of quart, so each pair is tested whole. The newer one needs Python 3.13.
QUART_PAIRS = {"0.22": ("quart==0.22.*", "quart-trio==0.12.*"), "0.23": ("quart==0.23.*", "quart-trio==0.13.*")}


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff, and the contracts on who imports whom."""
    session.install("-e", ".[dev]")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict."""
    session.install("-e", ".[dev]")
    session.run("mypy")


@nox.session
@nox.parametrize(
    ("python", "quart"),
    [("3.11", "0.22"), ("3.12", "0.22"), ("3.13", "0.22"), ("3.13", "0.23")],
)
def tests(session: nox.Session, quart: str) -> None:
    """All tests, on each Python that is there and on both pairs of quart and quart-trio."""
    session.install(".[test]")
    # The bounds in pyproject.toml choose a pair by the version of Python; here the other one is forced.
    session.install("--no-deps", *QUART_PAIRS[quart])
    session.run("pytest", "-n", "2", "--dist", "loadfile", *session.posargs)


@nox.session
def thorough(session: nox.Session) -> None:
    """What is left out above for its time: kills between the stages of each feature, the whole API, Apache Kafka."""
    session.install(".[test]")
    session.run("pytest", "-n", "2", "--dist", "loadfile", "-m", "thorough", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """What is marked as slow, and left out above too: more of what is shown there once, and pictures of the docs."""
    session.install(".[test]")
    session.run("pytest", "-m", "slow", *session.posargs)


@nox.session
def faults(session: nox.Session) -> None:
    """The fault suite in its long form, an hour; at its end stand the figures, a line for each promise."""
    session.install(".[test]")
    crashes = "tests/pipeline/test_pipeline_crashes.py"
    session.run("pytest", "tests/integration/faults", crashes, "--faults=long", "-m", "", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """A steady load with a fault a minute, for half an hour; ``nox -s soak -- --soak=300`` takes 300 seconds."""
    session.install(".[test]")
    session.run("pytest", "tests/integration/faults/test_soak.py", "--soak=1800", "-m", "", *session.posargs)


@nox.session
def kafka(session: nox.Session) -> None:
    """Services under faults on mock brokers and on Apache Kafka (with Java 17 and Maven), half an hour; a line each.

    One run alone, with other faults: ``python -m tests.kafka.chaos --folder DIR --seconds 120``.
    """
    session.install(".[test]")
    session.run("pytest", "tests/kafka", "-m", "slow or thorough", "-s", *session.posargs)


@nox.session
@nox.parametrize(("evidently", "pandas"), [("==0.7.17", "==2.2.*"), ("", "")], ids=["oldest", "newest"])
def fidelity(session: nox.Session, evidently: str, pandas: str) -> None:
    """Every kind of column by every preset, ours beside Evidently called directly, over the oldest and newest of each.

    Takes half an hour for each pair on two processors; ``nox -s fidelity -- --every 20`` takes each twentieth
    evaluation.
    """
    session.install(".[test]")
    session.install(f"evidently{evidently}", f"pandas{pandas or '<3.1'}")
    session.run("python", "-m", "tests.fidelity", *session.posargs, env={"DO_NOT_TRACK": "1"})


@nox.session
def bench(session: nox.Session) -> None:
    """Ours beside the original, some 15 minutes; ``nox -s bench -- --quick`` takes 3, ``--json FILE`` keeps all."""
    session.install(".[test]")
    session.run("python", "-m", "tests.benchmarks", *session.posargs)
