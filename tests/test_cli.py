"""The command line: what it prints, where, and with which exit status."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kernelkit as kk
from kernelkit import cli

EXAMPLES = Path(__file__).parents[1] / "examples"
HELLO = EXAMPLES / "hello.py"


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Runs a command line in an empty directory: (status, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KERNELKIT_BACKEND", raising=False)

    def command(*arguments):
        status = cli.main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return command


def spawn(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "kernelkit", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


# ---------------------------------------------------------------- in general
def test_version(run):
    from importlib.metadata import version

    assert run("--version") == (0, f"kernelkit {version('kernelkit')}\n", "")


def test_help(run):
    status, out, err = run()
    assert (status, err) == (0, "")
    assert all(command in out for command in ("demo", "devices", "inspect", "cache"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["paint"], "invalid choice: 'paint'"),
        (["--fast"], "unrecognized arguments: --fast"),
        (["demo", "--crop", "0"], "argument --crop: '0' is no positive whole number"),
        (["demo", "--crop", "x"], "argument --crop: 'x' is no positive whole number"),
        (["demo", "a.png", "b.png"], "unrecognized arguments: b.png"),
        (["devices", "now"], "unrecognized arguments: now"),
        (["inspect"], "the following arguments are required: FILE.py:KERNEL"),
        (["inspect", "a.py:k", "--block", "1,2,3,4"], "'1,2,3,4' has more than three extents"),
        (["inspect", "a.py:k", "--grid", "1,,2"], "'' is no positive whole number"),
    ],
)
def test_usage(run, arguments, message):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_module_is_the_command():
    process = spawn("--version")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert out.startswith("kernelkit ")


def test_a_closed_pipe_is_quiet():
    process = spawn("devices", "--json")
    process.stdout.close()
    err = process.stderr.read()
    assert (process.wait(timeout=60), err) == (141, "")
    process.stderr.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's full device")
@pytest.mark.parametrize("arguments", [["devices"], ["devices", "--json"], ["--version"]])
def test_a_full_disk_is_one_line(arguments):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "kernelkit", *arguments],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60,
            env=os.environ | {"PYTHONUNBUFFERED": ""},
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "kernelkit: [Errno 28] No space left on device\n")


LONG = """
import numpy as np
import kernelkit as kk

@kk.kernel
def count(out):
    print("at work")
    while out[0] >= 0:
        out[0] += 1

count.on("{backend}")[1, 1](np.zeros(1))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for other processes")
@pytest.mark.parametrize("backend", ["python", "cpu"])
def test_interrupt_of_a_kernel(tmp_path, backend):
    (tmp_path / "long.py").write_text(LONG.format(backend=backend))
    unbuffered = os.environ | {"PYTHONUNBUFFERED": "1"}
    process = spawn("inspect", "long.py:count", cwd=tmp_path, env=unbuffered)
    try:
        assert process.stdout.readline() == "at work\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (130, "", "kernelkit: interrupted\n")


# ---------------------------------------------------------------- demo
def fast():
    """The devices that are usable here, without the reference; the first of each without number."""
    usable = [row for row in kk.devices() if row.usable and row.backend != "python"]
    return [f"{row.backend}:{row.index}" if row.index else row.backend for row in usable]


def test_demo(run):
    status, out, err = run("demo")
    assert (status, err) == (0, "")
    assert "camera (PyWavelets), 512 x 512 pixels" in out
    assert out.count("512 x 512") == 1 + len(fast())
    assert all(f"on {name} (" in out for name in fast()) and "python" not in out
    assert all(word in out for word in ("sharpening", "blur", "wavelet", "SciPy", "PyWavelets"))
    with Image.open(cli.PICTURE) as image:
        assert image.format == "PNG"


def test_demo_on_the_reference_is_of_a_crop(run):
    status, out, err = run("demo", "--backend", "python", "--backend", "cpu", "--crop", 24)
    assert (status, err) == (0, "")
    assert "on python (" in out and out.index("on python (") < out.index("on cpu (")
    assert out.count("24 x 24 pixels") == 2


def test_demo_says_why_it_is_slow(tmp_path):
    process = spawn(
        "demo", "--json", "--crop", "8", cwd=tmp_path, env=os.environ | {"KERNELKIT_CPU": "banana"}
    )
    out, err = process.communicate(timeout=100)
    instead = [name for name in fast() if name != "cpu"] or ["python"]
    used = [r["backend"] for r in json.loads(out)["results"]]
    assert used == [name for name in instead for _ in range(3)]
    slow = "kernelkit: cpu is not usable: there is no CPU 'banana'"
    assert err.startswith(slow) if instead == ["python"] else err == ""


def test_demo_of_an_own_image(run, tmp_path):
    noise = np.random.default_rng(2).integers(0, 255, (20, 30, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    status, out, err = run("demo", "noise.png", "--backend", "python", "--output", "out.png")
    assert (status, err) == (0, "")
    assert "noise.png, 30 x 20 pixels" in out
    assert "out.png" in out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["noise.png", "out.png"]


def test_demo_for_machines(run, tmp_path):
    status, out, err = run("demo", "--json", "--crop", 20)
    assert (status, err) == (0, "")
    read = json.loads(out)
    assert read["agrees"] is True
    assert read["picture"] is None
    assert [r["backend"] for r in read["results"]] == [n for n in fast() for _ in range(3)]
    assert all(0 < r["seconds"] and 0 < r["peer_seconds"] for r in read["results"])
    assert list(tmp_path.iterdir()) == []


def test_demo_for_machines_with_a_picture(run, tmp_path):
    _, out, _ = run("demo", "--json", "--crop", 20, "--output", "p.png")
    assert json.loads(out)["picture"] == "p.png"
    assert (tmp_path / "p.png").exists()


def test_demo_that_disagrees(run, monkeypatch):
    from kernelkit.demo import cases
    from kernelkit.demo import run as running

    wrong = replace(cases.CASES[0], call=lambda image: image)
    monkeypatch.setattr(running, "CASES", (wrong, *cases.CASES[1:]))
    status, out, err = run("demo", "--json", "--crop", 20)
    assert status == 1
    assert json.loads(out)["agrees"] is False
    assert "5x5 sharpening on cpu differs from SciPy by" in err
    assert err.count("\n") == len(fast())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.png"], "none.png: there is no such file"),
        (["."], "directory"),
        (["--output", "none/a.png"], "none/a.png: there is no directory"),
        (["--backend", "pythn"], "did you mean 'python'?"),
        (["--backend", "python:7"], "there is no device 'python:7'"),
        (["--crop", "20", "--output", "."], "the picture cannot be written"),
    ],
)
def test_demo_failures(run, arguments, message):
    status, out, err = run("demo", *arguments)
    assert (status, out) == (1, "")
    assert err.startswith("kernelkit: ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("missing", "arguments", "message"),
    [
        ({"scipy"}, ["--json"], "the demo needs SciPy: pip install 'kernelkit[demo]'"),
        ({"matplotlib"}, [], "the demo needs Matplotlib: pip install 'kernelkit[demo]'"),
        ({"PIL"}, ["a.png", "--json"], "the demo needs Pillow: pip install 'kernelkit[demo]'"),
        ({"scipy", "matplotlib"}, [], "the demo needs Matplotlib and SciPy: pip install"),
    ],
)
def test_demo_without_its_extras(run, monkeypatch, missing, arguments, message):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in missing else found(name)
    )
    status, out, err = run("demo", *arguments)
    assert (status, out) == (1, "")
    assert message in err


def test_machines_need_neither_pillow_nor_matplotlib(run, monkeypatch):
    found = importlib.util.find_spec
    absent = {"PIL", "matplotlib"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in absent else found(name)
    )
    assert run("demo", "--json", "--crop", 20)[0] == 0


# ---------------------------------------------------------------- devices
def test_devices(run):
    status, out, err = run("devices")
    assert (status, err) == (0, "")
    assert "python:0" in out


def test_devices_for_machines(run):
    rows = json.loads(run("devices", "--json")[1])
    assert {"backend", "index", "name", "usable", "why"} == set(rows[0])
    assert any(row["backend"] == "python" and row["usable"] for row in rows)


# ---------------------------------------------------------------- inspect
def test_inspect(run):
    status, out, err = run("inspect", f"{HELLO}:saxpy", "float32", "float32[:]", "float32[::2]")
    assert (status, err) == (0, "")
    assert "kernel saxpy(a: float32, x: global float32[:], y: global float32[:] 8)" in out


def test_inspect_source(run):
    status, out, err = run(
        "inspect", f"{HELLO}:saxpy", "0.5", "float64[:]", "float64[:]", "--what", "source",
        "--backend", "python", "--block", "64", "--grid", "4",
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert "def saxpy(" in out


def test_inspect_of_a_module(run):
    status, out, _ = run(
        "inspect", "kernelkit.demo.kernels:blur", "float32[:,:]", "float32[:, :]", "float32[:]",
        "--block", "16,16",
    )  # fmt: skip
    assert status == 0
    assert "allocate(28, 28)" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hello"], "'hello' names no kernel; write FILE.py:KERNEL"),
        (["none.py:k"], "none.py: there is no such file"),
        (["no.such.module:k"], "no.such.module cannot be imported: ModuleNotFoundError"),
        ([f"{HELLO}:saxpi"], "did you mean saxpy?"),
        ([f"{HELLO}:main"], "it has saxpy"),
        (["json:dumps"], "json has no kernels"),
        ([f"{HELLO}:saxpy"], "the call of saxpy lacks 'a', 'x' and 'y'"),
        ([f"{HELLO}:saxpy", "float31", "1", "2"], "there is no dtype 'float31'; did you mean float32"),
        ([f"{HELLO}:saxpy", "object", "1", "2"], "there is no dtype 'object'"),
        ([f"{HELLO}:saxpy", "float32[5]", "1", "2"], "an axis is ':'"),
        ([f"{HELLO}:saxpy", "float32[::0]", "1", "2"], "the step of an axis cannot be 0"),
        ([f"{HELLO}:saxpy", "[1]", "1", "2"], "'[1]' is no argument of a kernel"),
        ([f"{HELLO}:saxpy", "1 +", "1", "2"], "'1 +' is no argument"),
        ([f"{HELLO}:saxpy", "1", "2", "3"], "hello.py:16:12:"),
        ([f"{HELLO}:saxpy", "1", "int8[:]", "int8[:]", "--what", "gold"], "not 'gold'"),
        ([f"{HELLO}:saxpy", "1", "int8[:]", "int8[:]", "--backend", "x"], "no back end 'x'"),
        ([f"{HELLO}:saxpy", "1", "int8[:]", "int8[:]", "--block", "2000"], "2000"),
    ],
)  # fmt: skip
def test_inspect_failures(run, arguments, message):
    status, out, err = run("inspect", *arguments)
    assert (status, out) == (1, "")
    assert err.startswith("kernelkit: ")
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize("body", ["1 / 0", "import sys; sys.exit(3)", "def f(:"])
def test_inspect_of_a_file_that_fails(run, tmp_path, body):
    (tmp_path / "bad.py").write_text(body)
    status, _, err = run("inspect", "bad.py:k")
    assert status == 1
    assert "bad.py cannot be imported" in err


def test_inspecting_a_file_leaves_the_search_path(run, tmp_path, monkeypatch):
    (tmp_path / "beside.py").write_text("scale = 2\n")
    before = list(sys.path)
    text = "from beside import scale\nimport kernelkit as kk\n@kk.kernel\ndef k(a):\n    a[0] = scale\n"
    (tmp_path / "near.py").write_text(text)
    monkeypatch.delitem(sys.modules, "beside", raising=False)
    status, out, _ = run("inspect", str(tmp_path / "near.py") + ":k", "int8[:]")
    assert (status, "2" in out) == (0, True)
    assert sys.path == before


def test_inspecting_a_file_does_not_hide_a_module(run, tmp_path):
    (tmp_path / "json.py").write_text(HELLO.read_text())
    status, _, err = run("inspect", "json.py:saxpy", "1.5", "float32[:]", "float32[:]")
    assert (status, err) == (0, "")
    assert sys.modules["json"] is json


SAXPY = (f"{HELLO}:saxpy", "float32", "float32[:]", "float32[:]")


@pytest.mark.parametrize("arch", ["sm_75", "sm_90"])
def test_resources_of_a_kernel_without_a_gpu(run, arch):
    status, out, err = run("inspect", "--resources", *SAXPY, "--arch", arch)
    assert (status, err) == (0, "")
    assert re.fullmatch(
        rf"k_saxpy on {arch}: \d+ registers; 0 bytes of spill stores, 0 bytes of spill loads; "
        r"0 bytes of stack; 0 bytes of static shared memory\n",
        out,
    )


def test_resources_name_an_architecture_by_themselves(run):
    status, out, _ = run("inspect", "--resources", *SAXPY)
    assert status == 0
    assert re.match(r"k_saxpy on sm_\d+: \d+ registers", out)


def test_source_for_an_architecture(run):
    status, out, err = run("inspect", *SAXPY, "--arch", "sm_80", "--what", "source")
    assert (status, err) == (0, "")
    assert "__global__" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resources", "--backend", "cpu"], "cpu:0; not 'resources'"),
        (
            ["--arch", "sm_90", "--backend", "cpu"],
            "'cpu' compiles only for devices that are at hand",
        ),
        (["--arch", "gold"], "'gold' is no architecture of NVIDIA; write it as sm_90"),
        (["--resources", "--arch", "sm_35"], "sm_35 is too old for NVRTC"),
        (["--resources", "--arch", "sm_999"], "makes no machine code for sm_999"),
        (["--resources", "--block", "2048"], "2048"),
    ],
)
def test_what_cannot_be_compiled_for(run, arguments, message):
    status, out, err = run("inspect", *SAXPY, *arguments)
    assert (status, out) == (1, "")
    assert message in err


def test_the_drawing_does_not_take_the_place_of_the_image(run, tmp_path):
    image = tmp_path / "photo.png"
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(image)
    before = image.read_bytes()
    status, _, complaint = run("demo", image, "--output", image)
    assert status == 1
    assert "is the image itself" in complaint
    assert image.read_bytes() == before


# ---------------------------------------------------------------- cache
def test_cache_shows_and_clears_what_is_kept(run, tmp_path, monkeypatch):
    from kernelkit.runtime import disk_cache

    folder = tmp_path / "kept"
    monkeypatch.setenv("KERNELKIT_CACHE_DIR", str(folder))
    monkeypatch.delenv("KERNELKIT_CACHE", raising=False)
    assert run("cache") == (0, f"{folder}: 0 entries, 0 bytes\n", "")
    for n in range(3):
        disk_cache.current().remember(f"key {n}", lambda: bytes(2000))
    assert run("cache", "path") == (0, f"{folder}\n", "")
    status, out, err = run("cache", "size")
    assert (status, err) == (0, "") and out.startswith(f"{folder}: 3 entries, 6.")
    assert out.endswith(" KiB\n")
    assert run("cache", "clear") == (0, out.replace(f"{folder}:", "removed"), "")
    assert run("cache") == (0, f"{folder}: 0 entries, 0 bytes\n", "")


def test_cache_says_why_there_is_none(run, tmp_path, monkeypatch):
    monkeypatch.setenv("KERNELKIT_CACHE", "0")
    status, out, err = run("cache")
    assert (status, out) == (1, "") and "there is no disk cache: KERNELKIT_CACHE or" in err
    monkeypatch.delenv("KERNELKIT_CACHE")
    monkeypatch.setenv("KERNELKIT_CACHE_DIR", str(tmp_path))
    tmp_path.chmod(0o777)
    status, out, err = run("cache", "clear")
    assert (status, out) == (1, "") and "is not used: it can be written to by other users" in err
    assert err.count("\n") == 1
