from collector.config.tasks import number_of, task_ids, whole_of


def test_each_task_has_an_id_by_which_it_is_known_whose_and_which_it_is():
    ids = task_ids("main", 64)
    assert ids[:3] == ["main", "main~task1", "main~task2"]
    assert {whole_of(one) for one in ids} == {"main"}
    assert [number_of(one) for one in ids] == list(range(64))


def test_no_other_id_is_a_task():
    for id_ in ("a~task0", "a~task", "a~task100", "a~b", "~task1b"):
        assert (whole_of(id_), number_of(id_)) == (id_, 0)
