#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The main job as its user sees it: main_job.py PROGRAM

Equal bits for equal seeds and any number of threads; Ctrl-C keeps a check-point that --resume continues to the same bits; a missing
data set and a wrong option give one clear line. The pictures are whole, hold what they should and change no bit.
"""
import base64
import gzip
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree
import zlib

PROGRAM = os.path.abspath(sys.argv[1])
DATA = pathlib.Path("/usr/share/datasets/fashion-mnist")
SHORT = ["--epochs", "2", "--limit", "3000"]


def run(*args):
    r = subprocess.run([PROGRAM, *args], capture_output=True, text=True, timeout=100)
    return r.returncode, r.stdout, r.stderr


def trained(*args):
    code, out, err = run(*SHORT, *args)
    assert code == 0, (args, code, err)
    lines = dict(line.split(": ", 1) for line in out.splitlines()[-4:])
    assert list(lines) == ["test accuracy", "images/s", "parameters crc32", "bytes copied at the doors"], out
    assert lines["bytes copied at the doors"] == "0", out
    assert float(lines["test accuracy"]) > 0.5, out
    return lines["parameters crc32"]


def interrupted(how, *args):
    """Stops a training half-way: the signal is sent earlier until it comes before the end."""
    delay = 1.0
    while delay > 0.005:
        for left in ("kept", "drawn/predictions.svg"):  # by a try that came to its end
            pathlib.Path(left).unlink(missing_ok=True)
        p = subprocess.Popen([PROGRAM, *SHORT, "--checkpoint", "kept", *args], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True,
                             preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # a job in the background ignores it
        if how == signal.SIGKILL:  # loses what came after the last check-point: wait for the first
            while not os.path.exists("kept") and p.poll() is None:
                time.sleep(0.001)
        else:
            time.sleep(delay)
        p.send_signal(how)
        out, err = p.communicate(timeout=100)
        if p.returncode == (130 if how == signal.SIGINT else -how) and os.path.exists("kept"):
            return out, err
        delay /= 1.5
    raise AssertionError("it always ends before the signal")


SVG = "{http://www.w3.org/2000/svg}"


def picture(path, at_most):
    """The elements of an SVG that needs no other file."""
    assert os.path.getsize(path) <= at_most, (path, os.path.getsize(path))
    root = xml.etree.ElementTree.parse(path).getroot()
    assert root.tag == SVG + "svg", root.tag
    for e in root.iter():
        for name, value in e.attrib.items():
            if name.endswith("href"):
                assert value.startswith("data:"), (path, value)
            else:
                assert "nan" not in value and "inf" not in value, (path, e.tag, name, value)
    return root


def words(root):
    return [e.text or "" for e in root.iter(SVG + "text")]


def greys(png):
    """The pixels of a stored grey PNG, every check sum looked at."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n", png[:8]
    at, data, size = 8, b"", None
    while at < len(png):
        n = int.from_bytes(png[at:at + 4], "big")
        kind, body = png[at + 4:at + 8], png[at + 8:at + 8 + n]
        assert int.from_bytes(png[at + 8 + n:at + 12 + n], "big") == zlib.crc32(kind + body), kind
        if kind == b"IHDR":
            size = int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big")
        data += body if kind == b"IDAT" else b""
        at += n + 12
    lines = zlib.decompress(data)
    assert size == (28, 28) and len(lines) == 28 * 29, (size, len(lines))
    return b"".join(lines[29 * r + 1:29 * r + 29] for r in range(28))


def truth():
    """The labels that the data set has for the pixels of a test image."""
    def read(name, head):
        return gzip.decompress((DATA / name).read_bytes())[head:]

    names = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot".split(",")
    pixels, labels = read("t10k-images-idx3-ubyte.gz", 16), read("t10k-labels-idx1-ubyte.gz", 8)
    found = {}
    for i, label in enumerate(labels):
        found.setdefault(pixels[784 * i:784 * (i + 1)], set()).add(names[label])
    return found


def points(root):
    """How many each line has that is not faint."""
    return [len(re.findall("[ML]", e.get("d"))) for e in root.iter(SVG + "path") if e.get("class").startswith("curve")]


def drawn(crc):
    """Both pictures, of a training, of none, where they cannot be written."""
    code, out, err = run(*SHORT, "--pictures", "drawn")
    assert code == 0 and err == "" and f"parameters crc32: {crc}\nbytes copied at the doors: 0\n" in out, "drawing changes the bits"
    assert out.splitlines()[-5] == "pictures: drawn/curves.svg and predictions.svg", out
    assert sorted(os.listdir("drawn")) == ["curves.svg", "predictions.svg"], os.listdir("drawn")
    losses, accuracies = points(picture("drawn/curves.svg", 100_000))
    assert losses > 100 and accuracies == 2, (losses, accuracies)
    sheet = picture("drawn/predictions.svg", 400_000)
    images = [greys(base64.b64decode(e.get("href").split(",")[1])) for e in sheet.iter(SVG + "image")]
    assert len(images) == 64 and all(max(i) > 100 for i in images), len(images)
    said = words(sheet)
    labels, captions = truth(), []  # of each image the words below it: "Coat 97%", and after a mistake "is: Shirt"
    for w in said:
        if re.search(r" >?\d+%$", w):
            captions.append(w.rsplit(" ", 1)[0])
        elif w.startswith("is: "):
            assert captions[-1] != w[4:], w
            captions[-1] = w[4:]
    assert len(captions) == 64 and all(c in labels[i] for c, i in zip(captions, images)), captions
    assert any(w.startswith("The 32 most confident mistakes, of ") for w in said), said
    assert "32 of all images, drawn at random" in said, said
    frames = [e.get("class") for e in sheet.iter(SVG + "rect")][1:]
    wrong = frames.count("bad")
    assert len(frames) == 64 and frames[:32] == ["bad"] * 32 and wrong < 56, frames  # most of those at random are right
    assert sum(w.startswith("is: ") for w in said) == wrong == len(list(sheet.iter(SVG + "circle"))), said
    sure = [100 if found[1] else int(found[2]) for w in said if (found := re.search(r"^[A-Z].* (>?)(\d+)%$", w))][:32]
    assert len(sure) == 32 and sure == sorted(sure, reverse=True), sure

    accuracy = float(re.search(r"^test accuracy: (.*)$", out, re.M)[1])
    title = sheet.find(SVG + "title").text
    assert f"{100 * accuracy:.2f}% of 10,000 test images right" in title, (title, accuracy)

    code, out, err = run("--epochs", "0", "--limit", "3000", "--pictures", "drawn")
    assert code == 0 and err == "", (code, err)
    assert words(picture("drawn/curves.svg", 100_000)).count("no values") == 2
    picture("drawn/predictions.svg", 400_000)

    os.mkdir("odd")
    for name in ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz"):
        os.symlink(DATA / name, f"odd/{name}")
    with gzip.open("odd/t10k-labels-idx1-ubyte.gz", "wb") as labels:
        labels.write(bytes([0, 0, 8, 1, 0, 0, 39, 16]) + bytes([200]) * 10000)
    code, out, err = run("--epochs", "0", "--limit", "3000", "--data", "odd", "--pictures", "drawn")
    assert code == 0 and err == "", (code, err)
    assert words(picture("drawn/predictions.svg", 400_000)).count("is: class 200") == 64, "a label that is no class"

    pathlib.Path("file").touch()
    for wrong in ("file", "file/below", "no/such/folder"):
        code, out, err = run("--epochs", "0", "--limit", "3000", "--pictures", wrong)
        assert code == 0 and len(out.splitlines()) == 4 and "pictures" not in out, (wrong, code, out)
        assert len(err.splitlines()) == 1 and err.startswith(f"pictures: {wrong} ") and "training goes on" in err, err
    os.makedirs("taken/curves.svg")  # a folder is not replaced by a file
    code, out, err = run(*SHORT, "--pictures", "taken", "--checkpoint", "kept")
    assert code == 0 and f"parameters crc32: {crc}" in out and os.path.exists("kept"), (code, out)
    assert len(err.splitlines()) == 1 and err.startswith("pictures: ") and "taken/curves.svg" in err, err


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    crc = trained()
    assert trained() == crc, "two runs differ"
    assert trained("--threads", "2") == crc, "two threads change the bits"
    assert trained("--seed", "2") != crc, "the seed changes nothing"
    assert os.listdir(".") == [], f"left behind: {os.listdir('.')}"

    drawn(crc)

    _, err = interrupted(signal.SIGINT, "--pictures", "drawn")
    assert "--resume" in err, err
    assert os.listdir("drawn") == ["curves.svg"], os.listdir("drawn")
    assert any("interrupted" in w for w in words(picture("drawn/curves.svg", 100_000)))
    assert trained("--checkpoint", "kept", "--resume", "--pictures", "drawn") == crc, "resumed after Ctrl-C to other bits"
    picture("drawn/curves.svg", 100_000)  # of what was trained since
    interrupted(signal.SIGKILL)
    assert trained("--checkpoint", "kept", "--resume") == crc, "resumed after a kill to other bits"
    os.truncate("kept", os.path.getsize("kept") - 1)
    code, _, err = run(*SHORT, "--checkpoint", "kept", "--resume")
    assert code == 1 and "truncated" in err, (code, err)

    code, out, err = run("--data", "nowhere")
    assert code == 1 and out == "" and len(err.splitlines()) == 1 and "dataset-fashion-mnist" in err, (code, out, err)
    for wrong in (["--epoch", "1"], ["--epochs"], ["--threads", "none"], ["--threads", "0"]):
        code, out, err = run(*wrong)
        assert code == 2 and out == "" and len(err.splitlines()) == 1, (wrong, code, out, err)
print("equal bits over runs, threads, pictures, Ctrl-C and a kill; whole pictures; clear errors")
