from collector.store.streams import collector_of, is_labels, labels_of


def test_labels_are_told_from_events_and_lead_to_their_collector():
    assert (is_labels("main"), is_labels(labels_of("main"))) == (False, True)
    assert collector_of(labels_of("main")) == collector_of("main") == "main"


def test_a_collector_that_is_called_labels_has_two_streams_too():
    assert not is_labels("labels")
    assert labels_of("labels") not in {"labels", labels_of("main")}
    assert collector_of(labels_of("labels")) == "labels"
