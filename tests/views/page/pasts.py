"""Snapshots as the page is given them."""

from collector.views.page.past import Past

from ..statuses import MINUTE, NOON


def drift_of(column, score, threshold=0.1):
    return {"column": column, "is_drifted": score > threshold, "score": score, "threshold": threshold, "method": "psi"}


def failed_test(name):
    return {"name": name, "metric": "M", "column": "", "status": "failed", "value": None, "said": name}


def value_of(value, metric="Accuracy", column="", label=""):
    return {"metric": metric, "column": column, "label": label, "value": value}


def past(minutes=4, *, drift=(), tests=0, failed=(), values=(), failed_metrics=0, rows=1000, state="delivered"):
    """Make a snapshot of some minutes ago: columns with their scores, so many tests, of which these failed."""
    columns = [drift_of(*one) for one in drift]
    drifted = sum(one["is_drifted"] for one in columns)
    shares = (
        {
            "drift_share": drifted / len(columns),
            "drifted_columns": drifted,
            "columns": len(columns),
            "dataset_drift": drifted * 2 >= len(columns),
        }
        if drift
        else {}
    )
    findings = {
        "drift": columns,
        "failed_tests": [failed_test(one) for one in failed],
        "not_computed": [],
        "values": [*values],
    }
    told = {"passed": tests - len(failed), "failed": len(failed)} if tests else {}
    outcome = {**shares, "tests": told, "failed_metrics": failed_metrics, "findings": findings, "notes": []}
    return Past(f"b-{minutes}", NOON - minutes * MINUTE, rows, state, outcome=outcome)
