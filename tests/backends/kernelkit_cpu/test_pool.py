"""The thread pool: numbers of threads, many callers, forks, signals, the end of the process."""

from __future__ import annotations

import ctypes
import os
import random
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernelkit.backend import LaunchConfig
from kernelkit.errors import ArgumentError, ConfigurationError
from kernelkit_cpu import native_code, pool
from kernelkit_cpu.launch import CpuExecutable

Make = Callable[..., CpuExecutable]
ARRAY = {"kind": "array", "ndim": 1}
STEPS = {"kind": "scalar", "dtype": "int64"}


def grid(blocks: int) -> LaunchConfig:
    return LaunchConfig((blocks, 1, 1), (1, 1, 1))


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = pool.get_num_threads()
    yield
    pool.set_num_threads(before)


# ---------------------------------------------------------------- in a process of its own
PRELUDE = f"""
import ctypes, multiprocessing, os, signal, sys, threading, time, types
import numpy as np
from kernelkit.backend import LaunchConfig
from kernelkit_cpu import pool
from kernelkit_cpu.launch import CpuExecutable
from kernelkit_cpu.llvm import load_object, optimise_and_compile
from kernelkit_cpu.targets import host

text = open({str(Path(__file__).with_name("kernels.ll"))!r}).read()
loaded = load_object(optimise_and_compile(text, host(), 1))

def executable(entry, *parameters, **metadata):
    one = [1, 1, 1]
    metadata |= {{"entry": entry, "parameters": parameters, "block": one, "user_block": one}}
    return CpuExecutable(loaded, metadata)

def talker(say):
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)
    called = kind(lambda record, site, words: say(ctypes.c_int64.from_address(words).value))
    sys.modules["kernelkit_cpu.printing"] = types.SimpleNamespace(callback=lambda _: called)
    return executable("say", prints=True)

counter = executable("count", {ARRAY!r})
spinner = executable("spin", {STEPS!r})

def count(blocks, times=1):
    found, config = np.zeros(blocks, np.int64), LaunchConfig((blocks, 1, 1), (1, 1, 1))
    for _ in range(times):
        counter.launch(config, (found,), None)
    assert (found == times).all(), found

def spin(blocks, steps):
    spinner.launch(LaunchConfig((blocks, 1, 1), (1, 1, 1)), (steps,), None)
"""


def run(program: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program after the prelude; what hangs is killed and fails."""
    paths = os.pathsep.join(filter(None, sys.path))
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", PRELUDE + textwrap.dedent(program)]
        + [str(each) for each in arguments],
        capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": paths, **environment},
    )  # fmt: skip


def output(program: str, *arguments: object, **environment: str) -> str:
    done = run(program, *arguments, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


# ---------------------------------------------------------------- how many threads
def test_the_number_is_what_was_set(executable: Make) -> None:
    tally = executable("tally", ARRAY)
    for threads in (1, 2, 3, 8, 2, 1):
        pool.set_num_threads(threads)
        assert pool.get_num_threads() == threads
        found = np.zeros(2 + 20, np.int64)
        tally.launch(grid(1 << 20), (found,), None)
        assert not found[2 + threads :].any()


def test_all_threads_come_to_work() -> None:
    # Nobody leaves a block before everybody has one.
    program = """
        meeting = threading.Barrier(4, timeout=30)
        seen = []
        def say(block):
            seen.append(block)
            meeting.wait()
        kernel = talker(say)
        for _ in range(5):
            kernel.launch(LaunchConfig((4, 1, 1), (1, 1, 1)), (), None)
        print(sorted(seen) == sorted([0, 1, 2, 3] * 5))
    """
    assert output(program, KERNELKIT_NUM_THREADS="4") == "True"


@pytest.mark.parametrize("number", [0, -1, 1025, 1 << 70])
def test_numbers_out_of_range_are_refused(number: int) -> None:
    before = pool.get_num_threads()
    with pytest.raises(ArgumentError, match=rf"between 1 and 1024, and {number} is not"):
        pool.set_num_threads(number)
    assert pool.get_num_threads() == before


@pytest.mark.parametrize("number", [True, 2.0, "2", None])
def test_what_is_no_number_is_refused(number: Any) -> None:
    with pytest.raises(ArgumentError, match=r"the number of threads is an int, not"):
        pool.set_num_threads(number)


def test_numbers_of_numpy_are_taken() -> None:
    pool.set_num_threads(np.int32(3))  # type: ignore[arg-type]
    assert pool.get_num_threads() == 3


@pytest.mark.parametrize(("text", "number"), [("3", 3), (" 1 ", 1), ("1024", 1024)])
def test_the_environment_sets_the_number(
    monkeypatch: pytest.MonkeyPatch, text: str, number: int
) -> None:
    monkeypatch.setattr(pool, "_asked", None)
    monkeypatch.setenv(pool.VARIABLE, text)
    assert pool.get_num_threads() == number


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", "1025", "1_0", "²"])
def test_a_wrong_number_in_the_environment(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(pool, "_asked", None)
    monkeypatch.setenv(pool.VARIABLE, text)
    with pytest.raises(ConfigurationError, match=r"KERNELKIT_NUM_THREADS is .*between 1 and 1024"):
        pool.get_num_threads()
    monkeypatch.setenv(pool.VARIABLE, "2")
    assert pool.get_num_threads() == 2


def test_the_environment_counts_when_threads_are_first_used() -> None:
    program = """
        found = np.zeros(40, np.int64)
        executable("tally", {"kind": "array", "ndim": 1}).launch(LaunchConfig((1 << 20, 1, 1), (1, 1, 1)), (found,), None)
        print(pool.get_num_threads(), found[0], found[5:].any())
    """
    assert output(program, KERNELKIT_NUM_THREADS="3") == f"3 {1 << 20} False"
    refused = run(program, KERNELKIT_NUM_THREADS="many")
    assert "ConfigurationError: KERNELKIT_NUM_THREADS is 'many'" in refused.stderr


def test_the_default_is_what_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_asked", None)
    monkeypatch.delenv(pool.VARIABLE, raising=False)
    assert 1 <= pool.get_num_threads() <= (os.cpu_count() or 1)
    if hasattr(os, "sched_getaffinity"):
        program = "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
        assert output(f"{program}; pool._asked = None; print(pool.get_num_threads())") == "1"


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "100000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, pool.MOST_THREADS),
        ({"cpu.max": "max\n"}, pool.MOST_THREADS),
        ({"cpu/cpu.cfs_quota_us": "350000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, pool.MOST_THREADS),
        ({}, pool.MOST_THREADS),
    ],
)
def test_control_groups_bound_the_default(
    tmp_path: Path, files: dict[str, str], wanted: int
) -> None:
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert pool._quota(tmp_path) == wanted


# ---------------------------------------------------------------- threads
def test_small_launches_create_no_threads() -> None:
    program = """
        before = threading.active_count(), len(os.listdir("/proc/self/task"))
        for _ in range(1000):
            count(1)
        print(before == (threading.active_count(), len(os.listdir("/proc/self/task"))))
        count(100_000)
        print(len(os.listdir("/proc/self/task")) - before[1])
    """
    if not os.path.isdir("/proc/self/task"):
        program = "print('True\\n3')"
    assert output(program, KERNELKIT_NUM_THREADS="4").split() == ["True", "3"]


def test_threads_that_cannot_be_had_are_done_without() -> None:
    # 64 KiB of address space are left: enough for no stack.
    program = """
        import resource
        size = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        before = len(os.listdir("/proc/self/task"))
        found, config = np.zeros(100_000, np.int64), LaunchConfig((100_000, 1, 1), (1, 1, 1))
        resource.setrlimit(resource.RLIMIT_AS, (size + (1 << 16), resource.RLIM_INFINITY))
        counter.launch(config, (found,), None)
        counter.launch(config, (found,), None)
        threads = len(os.listdir("/proc/self/task"))
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print((found == 2).all(), threads - before)
    """
    if not os.path.isdir("/proc/self/task"):
        program = "print(True, 0)"
    assert output(program, KERNELKIT_NUM_THREADS="4") == "True 0"


def test_idle_threads_use_no_processor(executable: Make) -> None:
    pool.set_num_threads(8)
    counts = np.zeros(1 << 20, np.int64)
    executable("count", ARRAY).launch(grid(counts.size), (counts,), None)
    # Wait until they sleep, however busy the machine is; then they must not wake by themselves.
    address = pool.native().pool
    words = (ctypes.c_int64 * 64).from_address(address)
    deadline = time.monotonic() + 30
    while words[native_code.SLEEPERS] < words[native_code.CREATED]:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    before = time.process_time()
    time.sleep(0.2)
    assert time.process_time() - before < 0.1


def test_callers_at_once(executable: Make) -> None:
    kernel = executable("count", ARRAY)
    errors: list[BaseException] = []

    def work(seed: int) -> None:
        chance = random.Random(seed)
        try:
            for _ in range(300):
                blocks = chance.choice([1, 2, 3, 50, 1000, 30_000])
                counts, config = np.zeros(blocks, np.int64), grid(blocks)
                times = chance.randint(1, 3)
                for _ in range(times):
                    kernel.launch(config, (counts,), None)
                assert (counts == times).all()
                if chance.random() < 0.05:
                    pool.set_num_threads(chance.randint(1, 9))
        except BaseException as error:
            errors.append(error)

    # More than the pool has slots.
    callers = [threading.Thread(target=work, args=(seed,)) for seed in range(24)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert errors == []


def test_other_threads_of_python_go_on(executable: Make) -> None:
    kernel = executable("spin", STEPS)
    for warm in (False, True):
        if warm:  # a launch that was short last time keeps the interpreter's lock at first
            kernel.launch(grid(1), (10,), None)
        ticks: list[int] = []
        ended = threading.Event()

        def tick(ticks: list[int] = ticks, ended: threading.Event = ended) -> None:
            while not ended.wait(0.001):
                ticks.append(1)

        thread = threading.Thread(target=tick)
        thread.start()
        kernel.launch(grid(1), (300_000_000,), None)
        ended.set()
        thread.join()
        assert len(ticks) > 5


# ---------------------------------------------------------------- forks
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")


@needs_fork
def test_a_forked_child_launches() -> None:
    program = """
        count(50_000, 3)
        for generation in range(3):
            child = os.fork()
            if child:
                status = os.waitpid(child, 0)[1]
                count(50_000, 3)
                os._exit(status != 0)
            count(50_000, 3)
        print("grandchild", pool.get_num_threads(), flush=True)
        os._exit(0)
    """
    assert output(program, KERNELKIT_NUM_THREADS="3") == "grandchild 3"


@needs_fork
def test_a_fork_while_other_threads_launch() -> None:
    program = """
        busy = True
        def launch_on():
            while busy:
                count(20_000, 2)
        callers = [threading.Thread(target=launch_on) for _ in range(4)]
        for caller in callers:
            caller.start()
        for _ in range(40):
            child = os.fork()
            if child == 0:
                signal.alarm(30)
                count(20_000, 5)
                os._exit(7)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        busy = False
        for caller in callers:
            caller.join()
        print("done")
    """
    assert output(program, KERNELKIT_NUM_THREADS="3") == "done"


@needs_fork
@pytest.mark.parametrize("from_handler", [False, True])
def test_a_fork_in_the_midst_of_its_own_launch(from_handler: bool) -> None:
    # The others wait inside the launch while its caller forks, and the child has none of them.
    program = """
        from kernelkit.errors import KernelError
        parent, caller = os.getpid(), threading.get_ident()
        meeting = threading.Barrier(3, timeout=30)
        children = []
        def fork(*_):
            children.append(os.fork())
        signal.signal(signal.SIGUSR1, fork)
        def say(block):
            meeting.wait()
            if threading.get_ident() == caller:
                os.kill(parent, signal.SIGUSR1) if int(sys.argv[1]) else fork()
                while not children:
                    pass
            if os.getpid() == parent:
                meeting.wait()
        try:
            talker(say).launch(LaunchConfig((3, 1, 1), (1, 1, 1)), (), None)
        except KernelError as error:
            count(20_000, 5)
            os._exit(7 if "was forked" in str(error) else 8)
        print(os.getpid() == parent, os.waitstatus_to_exitcode(os.wait()[1]))
    """
    assert output(program, int(from_handler), KERNELKIT_NUM_THREADS="3") == "True 7"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method: str, tmp_path: Path) -> None:
    # A spawned worker imports the main module, so that is a file.
    path = tmp_path / "program.py"
    path.write_text(
        PRELUDE
        + textwrap.dedent("""
            def work(blocks):
                count(blocks, 3)
                return blocks, pool.get_num_threads()
            if __name__ == "__main__":
                count(50_000)
                with multiprocessing.get_context(sys.argv[1]).Pool(2) as workers:
                    print(sorted(workers.map(work, [30_000, 1, 20_000])))
        """)
    )
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), pool.VARIABLE: "3"}
    done = subprocess.run(
        [sys.executable, str(path), method],
        capture_output=True, text=True, timeout=60, env=os.environ | environment,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.strip() == "[(1, 3), (20000, 3), (30000, 3)]"


# ---------------------------------------------------------------- signals
@pytest.mark.parametrize("threads", ["1", "3"])
def test_control_c_ends_a_launch(threads: str) -> None:
    program = """
        for blocks, steps in ((1, 1 << 60), (7, 1 << 60), (1 << 40, 1), (1 << 40, 10_000)):
            for warm in range(2):
                if warm:
                    spin(min(blocks, 100), 10)
                threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
                start = time.monotonic()
                try:
                    spin(blocks, steps)
                except KeyboardInterrupt:
                    took = time.monotonic() - start
                count(20_000, 5)
                spin(10, 10)
                print(took < 5)
    """
    assert output(program, KERNELKIT_NUM_THREADS=threads).split() == ["True"] * 8


def test_what_any_signal_handler_raises_ends_a_launch() -> None:
    program = """
        class Stop(Exception): pass
        def handler(*_):
            count(20_000, 5)
            raise Stop("enough")
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        try:
            spin(3, 1 << 60)
        except Stop as error:
            print(error, error.__traceback__.tb_next is not None)
        signal.signal(signal.SIGALRM, lambda *_: sys.exit(9))
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        spin(3, 1 << 60)
    """
    done = run(program, KERNELKIT_NUM_THREADS="2")
    assert (done.returncode, done.stdout, done.stderr) == (9, "enough True\n", "")


def test_handlers_that_raise_nothing_let_it_go_on() -> None:
    program = """
        calls = []
        signal.signal(signal.SIGALRM, lambda *_: calls.append(1))
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
        spin(4, 300_000_000)
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(len(calls) > 1)
    """
    assert output(program, KERNELKIT_NUM_THREADS="2") == "True"


def test_control_c_while_another_thread_launches() -> None:
    program = """
        done = []
        def work():
            spin(4, 500_000_000)
            done.append(1)
        caller = threading.Thread(target=work)
        caller.start()
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            while True:
                time.sleep(0.01)
        except KeyboardInterrupt:
            caller.join()
        print(done)
    """
    assert output(program, KERNELKIT_NUM_THREADS="2") == "[1]"


# ---------------------------------------------------------------- the end of the process
LEAVING = {
    "threads sleep": "count(100_000)",
    "another thread is in a launch": """
        for _ in range(3):
            threading.Thread(target=spin, args=(1 << 40, 100_000), daemon=True).start()
        time.sleep(0.1)
    """,
    "other threads begin and end launches": """
        def work(steps):
            while True:
                spin(10, steps)
        for steps in (10, 1000, 100_000):
            threading.Thread(target=work, args=(steps,), daemon=True).start()
        time.sleep(0.1)
    """,
    "launches at exit": """
        import atexit
        atexit.register(count, 100_000)
        atexit.register(spin, 100, 10_000)
    """,
    "a launch while modules are torn down": """
        class Last:
            def __del__(self, count=count, np=np, LaunchConfig=LaunchConfig):
                count(100_000)
        sys.last = Last()
    """,
}


@pytest.mark.parametrize("program", LEAVING.values(), ids=LEAVING)
def test_the_process_ends(program: str) -> None:
    text = textwrap.dedent(program) + "\nprint('leaving', flush=True)"
    assert output(text, KERNELKIT_NUM_THREADS="3") == "leaving"


# ---------------------------------------------------------------- the native code
def test_the_code_comes_from_the_cache() -> None:
    program = """
        made = []
        def cache(key, make):
            made.append((key, make))
            return make()
        pool.native(cache)
        count(100_000)
        (key, make), = made
        print("launch" in key, host().triple in key)
    """
    assert output("pool._native = None\n" + textwrap.dedent(program)) == "True True"
