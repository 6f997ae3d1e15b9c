"""What a worker process runs: a function by its name, after it was made quiet and bounded."""

import os
import subprocess
import sys

import pytest

from collector.workers.process import call

_CHOICES = ("DO_NOT_TRACK", "OPENBLAS_NUM_THREADS")
PREPARE = "from collector.workers.process import prepare; prepare(10**9); "


def test_a_function_is_found_by_its_name():
    assert call("math:gcd", 12, 18) == 6


def test_an_unknown_name_is_an_error():
    with pytest.raises(AttributeError):
        call("math:nothing")


def test_whatever_hinders_the_loading_is_an_import_error(tmp_path, monkeypatch):
    """As nltk, which Evidently imports, raises ValueError where the user has no home."""
    (tmp_path / "homeless.py").write_text("raise ValueError('no home')", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="ValueError: no home"):
        call("homeless:work")


def test_garbage_is_collected_again_once_a_module_is_loaded():
    """Loading goes without the collector, which is a sixth of Evidently's start; a report does not."""
    program = "import gc; from collector.workers.process import call; call('fractions:Fraction', 1); "
    assert in_a_new_process(program + "print(gc.isenabled(), gc.get_freeze_count() > 0)") == "True True"


def in_a_new_process(program, **variables):
    """Run a program that may limit its own process, and give what it prints."""
    kept = {name: value for name, value in os.environ.items() if name not in _CHOICES}
    printing = "import os, sys; sys.stdout = os.fdopen(os.dup(1), 'w'); "
    command = [sys.executable, "-c", printing + PREPARE + program]
    return subprocess.run(command, env=kept | variables, capture_output=True, text=True, check=True).stdout.strip()


def test_telemetry_is_off_unless_the_user_decided():
    program = "import os; print(os.environ['DO_NOT_TRACK'])"
    assert (in_a_new_process(program, DO_NOT_TRACK="0"), in_a_new_process(program)) == ("0", "1")


def test_numpy_computes_in_one_thread_unless_the_user_decided():
    """Its others would take the processor from other workers while they wait for something to do."""
    program = "import numpy, threadpoolctl; print(threadpoolctl.threadpool_info()[0]['num_threads'])"
    assert in_a_new_process(program) == "1"
    assert in_a_new_process("print(os.environ['OPENBLAS_NUM_THREADS'])", OPENBLAS_NUM_THREADS="2") == "2"


def test_what_a_worker_prints_goes_nowhere():
    """A pipe that nobody reads would stop its report, and so would a pipe that is closed."""
    assert in_a_new_process("os.write(1, b'x'); os.write(2, b'x'); print('lives')") == "lives"


def test_a_hangup_that_has_the_daemon_reload_is_nothing_to_a_worker():
    assert in_a_new_process("import os, signal; os.kill(os.getpid(), signal.SIGHUP); print('lives')") == "lives"


def test_a_process_that_takes_more_memory_than_it_may_is_told_so():
    taking = "try: b = bytearray({})\nexcept MemoryError: print('refused')\nelse: print('given')"
    given = [in_a_new_process("\n" + taking.format(size)) for size in (5 * 10**8, 2 * 10**9)]
    assert given == ["given", "refused"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux chooses whom to end when memory ends")
def test_where_memory_ends_the_kernel_ends_a_worker_first():
    assert in_a_new_process("print(open('/proc/self/oom_score_adj').read())") == "1000"
