"""The search command: files or pictures on either side, verdicts, a report, one clear line of error."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from asl_fast.cli import main
from asl_fast.indexes import Index

EXAMPLES = Path(__file__).parent.parent / "examples"


def save(path, row_ND, ids=None):
    np.save(path, row_ND.astype(np.float32))
    if ids is not None:
        Path(path).with_suffix(".ids.txt").write_text("".join(f"{identity}\n" for identity in ids))
    return str(path)


@pytest.fixture
def sides(tmp_path):
    """20 references and 5 queries of 8 dims with norms between 1 and 3."""
    generator = np.random.default_rng(7)

    def rows(number):
        row_ND = generator.standard_normal((number, 8))
        return row_ND / np.linalg.norm(row_ND, axis=1, keepdims=True) * generator.uniform(1, 3, (number, 1))

    refs, queries = rows(20).astype(np.float32), rows(5).astype(np.float32)
    save(tmp_path / "refs.npy", refs, [f"r{row}" for row in range(20)])
    save(tmp_path / "queries.npy", queries, [f"q{row}" for row in range(5)])
    return tmp_path, refs.astype(np.float64), queries.astype(np.float64)


def status_of(folder, *flags):
    arguments = ["search", "--refs", str(folder / "refs.npy"), "--queries", str(folder / "queries.npy")]
    return main([*arguments, "--out", str(folder / "matches.csv"), *map(str, flags)])


def search(folder, *flags):
    status = status_of(folder, *flags)
    with open(folder / "matches.csv", newline="") as file:
        return status, list(csv.DictReader(file))


def brute_force(refs, queries):
    norm_N, norm_Q = np.linalg.norm(refs, axis=1), np.linalg.norm(queries, axis=1)
    return queries @ refs.T / np.outer(norm_Q, norm_N), norm_Q[:, None] / norm_N[None]


def test_matches_are_the_brute_forces_best_first(sides):
    folder, refs, queries = sides
    status, rows = search(folder, "--k", 3)
    score_QN, ratio_QN = brute_force(refs, queries)
    assert status == 0
    header = "query_id,reference_id,score,query_norm,reference_norm,ratio,verdict"
    assert ",".join(rows[0]) == header
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    best = {(f"q{q}", f"r{n}") for q in range(5) for n in np.argsort(-score_QN[q])[:3]}
    assert {(row["query_id"], row["reference_id"]) for row in rows} == best
    for row in rows:
        q, n = int(row["query_id"][1:]), int(row["reference_id"][1:])
        assert float(row["score"]) == pytest.approx(score_QN[q, n], abs=1e-12)
        assert float(row["ratio"]) == pytest.approx(ratio_QN[q, n], rel=1e-12)
        assert row["verdict"] == ("copy" if ratio_QN[q, n] <= 1 else "original")


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_rows_of_another_floating_type_match_as_they_do_as_float32(sides, dtype):
    folder, refs, queries = sides
    for name, row_ND in (("refs", refs), ("queries", queries)):
        np.save(folder / f"{name}.npy", row_ND.astype(dtype).astype(np.float32))
    _, wanted = search(folder, "--k", 3)
    for name, row_ND in (("refs", refs), ("queries", queries)):
        np.save(folder / f"{name}.npy", row_ND.astype(dtype))
    assert search(folder, "--k", 3) == (0, wanted)


PEAK = """
import sys
from asl_fast.cli import main

def peak():
    fields = dict(line.split(":") for line in open("/proc/self/status"))
    return int(fields["VmHWM"].split()[0]) * 1024

refs, queries, out = sys.argv[1:]
search = ["search", "--queries", queries, "--out", out, "--threads", "2", "--memory-budget", "12M"]
main([*search, "--refs", queries])
before = peak()
main([*search, "--refs", refs])
print(peak() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_mapped_file_of_references_is_never_in_memory_as_a_whole(tmp_path, dtype):
    refs = np.lib.format.open_memmap(
        tmp_path / "refs.npy", "w+", dtype, (40_000, 4096 // np.dtype(dtype).itemsize)
    )
    refs[:] = np.resize(np.random.default_rng(0).standard_normal(5003).astype(dtype), refs.shape)
    refs.flush()
    np.save(tmp_path / "queries.npy", refs[:20])
    command = [
        sys.executable,
        "-c",
        PEAK,
        *map(str, [tmp_path / "refs.npy", tmp_path / "queries.npy", "m.csv"]),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    # the budget, 32 MB of the map, ids and norms of 40,000 rows; the file has 164 MB
    assert int(done.stdout.splitlines()[-1]) < 75e6


@pytest.mark.parametrize(("direction", "tau"), [("copy", 1.0), ("original", 1.0), ("copy", 0.7)])
def test_a_direction_alone_fills_k_with_its_own(sides, direction, tau):
    folder, refs, queries = sides
    _, rows = search(folder, "--k", 4, "--direction", direction, "--tau", tau)
    _, ratio_QN = brute_force(refs, queries)
    passes_QN = ratio_QN <= tau if direction == "copy" else ratio_QN > tau
    assert {row["verdict"] for row in rows} <= {direction}
    for q in range(5):
        found = [row for row in rows if row["query_id"] == f"q{q}"]
        assert len(found) == min(4, passes_QN[q].sum())


def test_a_short_answer_is_said(sides, capsys):
    folder, _, _ = sides
    search(folder, "--k", 20, "--direction", "copy")
    assert "queries have fewer than 20: no other reference passes" in capsys.readouterr().out


def test_min_score_alone_gives_every_pair(sides):
    folder, refs, queries = sides
    _, rows = search(folder, "--min-score", 0.1)
    score_QN, _ = brute_force(refs, queries)
    assert len(rows) == (score_QN >= 0.1).sum() > 0
    _, rows = search(folder, "--min-score", 0.1, "--k", 1)
    assert len(rows) <= 5


def test_best_pairs_are_the_best_of_all_queries_together(sides):
    folder, refs, queries = sides
    _, rows = search(folder, "--best-pairs", 11)
    score_QN, _ = brute_force(refs, queries)
    best = np.sort(score_QN.ravel())[::-1][:11]
    np.testing.assert_allclose([float(row["score"]) for row in rows], best, atol=1e-12)
    _, capped = search(folder, "--best-pairs", 8, "-k", 2, "--direction", "copy")
    assert len(capped) == 8
    assert max(sum(row["query_id"] == f"q{q}" for row in capped) for q in range(5)) == 2
    _, every = search(folder, "-k", 2, "--direction", "copy")
    assert capped == every[:8]


@pytest.mark.parametrize("direction", ["copy", "original", "both"])
def test_every_mode_means_the_same_by_a_direction(sides, direction):
    folder, _, _ = sides
    _, nearest = search(folder, "-k", 20, "--direction", direction, "--tau", 0.8)
    _, best = search(folder, "--best-pairs", 1000, "--direction", direction, "--tau", 0.8)
    _, above = search(folder, "--min-score", -1, "--direction", direction, "--tau", 0.8)
    assert nearest == best == above
    assert {row["verdict"] for row in nearest} == (
        {"copy", "original"} if direction == "both" else {direction}
    )


def test_copies_and_originals_together_are_what_both_finds(sides):
    folder, _, _ = sides
    found = {}
    for direction in ("copy", "original", "both"):
        _, rows = search(folder, "--min-score", 0, "--direction", direction)
        found[direction] = {(row["query_id"], row["reference_id"], row["verdict"]) for row in rows}
    assert found["copy"] | found["original"] == found["both"]


def test_all_modes_find_in_an_index_what_they_find_in_the_file(sides):
    folder, _, _ = sides
    assert main(["index", "build", str(folder / "index"), str(folder / "refs.npy")]) == 0
    for flags in (["-k", 3], ["--best-pairs", 9], ["--min-score", 0.2]):
        _, wanted = search(folder, *flags)
        _, rows = search(folder, "--refs", folder / "index", *flags)
        assert rows == wanted != []


def test_a_search_for_more_pairs_than_there_are_says_so(sides, capsys):
    folder, _, _ = sides
    search(folder, "--best-pairs", 1000)
    assert "100 matches" in (said := capsys.readouterr().out)
    assert "fewer than 1000: no other pair passes" in said


def test_shown_and_reported_are_the_best_of_all(sides, capsys):
    folder, _, _ = sides
    report = folder / "r.html"
    _, rows = search(folder, "--min-score", -1, "--show", 2, "--report", report, "--report-pairs", 3)
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in said[1:3]] == [[r["query_id"], r["reference_id"]] for r in rows[:2]]
    assert "... and 98 more" in said
    assert "100" in report.read_text()


def test_norms_of_another_network_change_the_verdicts_and_not_the_scores(sides):
    folder, _, _ = sides
    _, plain = search(folder, "--k", 20)
    np.save(folder / "rn.npy", np.full(20, 2.0))
    np.save(folder / "qn.npy", np.array([1.0, 3.0, 1.0, 3.0, 2.0]))
    _, other = search(folder, "--k", 20, "--norms", folder / "rn.npy", folder / "qn.npy")

    def by_pair(rows, column):
        return {(row["query_id"], row["reference_id"]): row[column] for row in rows}

    assert by_pair(plain, "score") == by_pair(other, "score")
    verdicts = {query: verdict for (query, _), verdict in by_pair(other, "verdict").items()}
    assert verdicts == {"q0": "copy", "q1": "original", "q2": "copy", "q3": "original", "q4": "copy"}


def test_pictures_on_either_side_give_what_embedding_first_gives(tmp_path):
    refs = EXAMPLES / "references"
    queries = tmp_path / "queries"
    queries.mkdir()
    for name in ("copy01_crop-half", "copy08_meme", "stranger01"):
        (queries / f"{name}.jpg").write_bytes((EXAMPLES / "queries" / f"{name}.jpg").read_bytes())
    few = tmp_path / "few.txt"
    few.write_text("".join(f"{path}\n" for path in sorted(refs.glob("*.jpg"))[:20]))
    first, then = tmp_path / "a.csv", tmp_path / "b.csv"
    report = tmp_path / "report.html"
    flags = ["--k", "2", "--report", str(report)]
    assert main(["search", "--refs", str(few), "--queries", str(queries), "--out", str(first), *flags]) == 0
    assert main(["embed", "--images", str(few), "--out", str(tmp_path / "refs.npy")]) == 0
    stored = ["--refs", str(tmp_path / "refs.npy"), "--queries", str(queries), "--out", str(then), *flags]
    assert main(["search", *stored]) == 0
    assert first.read_bytes() == then.read_bytes()
    page = report.read_text()
    assert page.count("data:image/jpeg;base64,") >= 6, "each picture is embedded in the page"


def test_a_broken_picture_is_a_row_of_failures_and_exit_status_3(sides, capsys):
    folder, _, _ = sides
    pictures = folder / "pictures"
    pictures.mkdir()
    (pictures / "broken.jpg").write_bytes((EXAMPLES / "queries" / "stranger01.jpg").read_bytes()[:500])
    Image.new("RGB", (40, 30), "red").save(pictures / "red.png")
    Image.linear_gradient("L").save(pictures / "grey.png")
    both = ["--refs", str(pictures), "--queries", str(pictures), "--out", str(folder / "m.csv")]
    assert main(["search", *both]) == 3
    assert "failed, see failures.csv" in capsys.readouterr().out
    with open(folder / "failures.csv", newline="") as file:
        assert {row["id"] for row in csv.DictReader(file)} == {"broken"}
    with open(folder / "m.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 4


def test_the_report_shows_pictures_of_a_shard(tmp_path):
    shard = tmp_path / "shard.tar"
    with tarfile.open(shard, "w") as archive:
        for path in sorted((EXAMPLES / "references").glob("*.jpg"))[:3]:
            archive.add(path, path.name)
    report = tmp_path / "report.html"
    out = ["--out", str(tmp_path / "m.csv"), "--report", str(report)]
    assert main(["search", "--refs", str(shard), "--queries", str(shard), "--k", "1", *out]) == 0
    assert report.read_text().count("data:image/jpeg;base64,") >= 3


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--k", "0"], "--k must be at least 1, got 0"),
        (["--best-pairs", "0"], "--best-pairs must be at least 1, got 0"),
        (["--min-score", "1.5"], "--min-score is a cosine, from -1 to 1, got 1.5"),
        (["--tau", "nan"], "--tau must be a finite number above 0, got nan"),
        (["--report", "."], "--report . is a folder"),
        (["--refs", "none.npy"], "none.npy does not exist"),
        (["--queries", "nowhere/"], "nowhere"),
        (["--norms", "a.npy", "b.npy"], "a.npy"),
        (["--threads", "0"], "threads"),
        (["--show", "-1"], "--show"),
        (["--report-pairs", "0"], "--report-pairs"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_status_2(sides, capsys, flags, message):
    folder, _, _ = sides
    arguments = ["--refs", str(folder / "refs.npy"), "--queries", str(folder / "queries.npy")]
    out = folder / "never.csv"
    assert main(["search", *arguments, "--out", str(out), "--report", str(folder / "r.html"), *flags]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1
    assert not out.exists()


def test_sides_that_do_not_fit_are_refused_by_name(sides, capsys):
    folder, refs, _ = sides
    save(folder / "queries.npy", refs[:, :5])
    arguments = ["--refs", str(folder / "refs.npy"), "--queries", str(folder / "queries.npy")]
    Path(folder / "queries.ids.txt").unlink()
    assert main(["search", *arguments, "--out", str(folder / "m.csv")]) == 2
    assert "has 5 columns but --refs" in capsys.readouterr().err


def test_cuda_without_cuda_is_one_line(sides, capsys):
    import torch

    folder, _, _ = sides
    if torch.cuda.is_available():
        status, _ = search(folder, "--device", "cuda")
        assert status == 0
        return
    arguments = ["--refs", str(folder / "refs.npy"), "--queries", str(folder / "queries.npy")]
    assert main(["search", *arguments, "--out", str(folder / "m.csv"), "--device", "cuda"]) == 2
    assert "cuda" in capsys.readouterr().err.lower()


def of_three_gpus(monkeypatch):
    """The devices that an index is asked for, where there are three GPUs and searches run on the CPU."""
    devices = []

    class OnTheCpu(Index):
        def __init__(self, *arguments, device, **options):
            devices.append(device)
            super().__init__(*arguments, **options)

    info = {"with_cuda": True, "cuda_devices": ["A", "B", "C"], "cuda_problem": ""}
    monkeypatch.setattr("asl_fast.kernels.ratio_search.devices._C.build_info", lambda: info)
    monkeypatch.setattr("asl_fast.search.Index", OnTheCpu)
    return devices


@pytest.mark.parametrize("device", ["cuda", "cuda:2", "cuda:0,2"])
def test_every_gpu_that_is_named_reaches_the_index(sides, monkeypatch, device):
    devices = of_three_gpus(monkeypatch)
    status, _ = search(sides[0], "--device", device)
    assert status == 0 and devices == [device]


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("gpu", "--device gpu: ratio_search: device must be one of cpu, cuda"),
        ("cuda:1,1", "must name each GPU once"),
        ("cuda:0,3", "names GPU 3, but there are 3, numbered from 0"),
    ],
)
def test_gpus_that_cannot_be_meant_are_refused_in_one_line(sides, monkeypatch, capsys, device, said):
    of_three_gpus(monkeypatch)
    assert status_of(sides[0], "--device", device) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_several_gpus_are_refused_for_an_engine_that_runs_on_one(sides, monkeypatch, capsys):
    pytest.importorskip("faiss")
    of_three_gpus(monkeypatch)
    assert status_of(sides[0], "--device", "cuda:0,1", "--engine", "faiss:Flat") == 2
    assert "names 2 GPUs, but --engine faiss:Flat runs on one" in capsys.readouterr().err


def test_searching_files_does_not_wait_for_pytorch(sides):
    folder, _, _ = sides
    code = (
        "import sys; from asl_fast.cli import main; "
        f"status = main(['search', '--refs', {str(folder / 'refs.npy')!r}, '--queries', "
        f"{str(folder / 'queries.npy')!r}, '--out', {str(folder / 'm.csv')!r}]); "
        "raise SystemExit(status or ('torch' in sys.modules and 'torch was imported'))"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert outcome.returncode == 0, outcome.stderr


@pytest.mark.parametrize("flags", [(), ("--min-score", 0.1), ("--best-pairs", 30), ("--direction", "copy")])
def test_faiss_that_lists_everything_gives_the_exact_matches(sides, capsys, flags):
    pytest.importorskip("faiss")
    folder, _, _ = sides
    exact = search(folder, *flags)
    assert search(folder, *flags, "--engine", "faiss:Flat") == exact
    line = capsys.readouterr().out.splitlines()[-1]
    assert "recall 1.0000 against the exact engine" in line and "of 5 sampled queries" in line


def test_what_faiss_could_not_find_is_said(sides, capsys):
    pytest.importorskip("faiss")
    folder, _, _ = sides
    _, rows = search(
        folder, "--k", 20, "--engine", "faiss:IVF4,Flat", "--engine-param", "nprobe=1", "--recall-sample", 3
    )
    line = capsys.readouterr().out
    assert len(rows) < 100 and "5 queries have fewer than 20;" in line
    assert "FAISS's lists ended for 5 queries" in line and "of 3 sampled queries" in line
    search(folder, "--engine", "faiss:Flat", "--recall-sample", 0)
    assert "recall" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--engine", "faiss"), "--engine must be exact, faiss:FACTORY or faiss:FILE.faiss"),
        (("--engine", "faiss:"), "--engine must be exact"),
        (("--engine", "faiss:gone.faiss"), "there is no file gone.faiss"),
        (("--engine", "faiss:nonsense"), "could not parse index string nonsense"),
        (("--engine", "faiss:Flat", "--engine-param", "nprobe"), "must be NAME=NUMBER"),
        (("--engine", "faiss:Flat", "--engine-param", "nprobe=3"), "IndexFlat has no parameter nprobe"),
        (("--engine-param", "nprobe=3"), "name an --engine faiss:"),
        (("--recall-sample", -1), "--recall-sample must be at least 0"),
    ],
)
def test_an_engine_that_cannot_be_is_one_line(sides, capsys, flags, message):
    pytest.importorskip("faiss")
    folder, _, _ = sides
    arguments = ["search", "--refs", str(folder / "refs.npy"), "--queries", str(folder / "queries.npy")]
    assert main([*arguments, "--out", str(folder / "matches.csv"), *map(str, flags)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and message in error


def test_a_damaged_faiss_file_is_one_line(sides, capsys):
    pytest.importorskip("faiss")
    folder, _, _ = sides
    (folder / "bad.faiss").write_bytes(b"IxFI" + bytes(50))
    arguments = ["search", "--refs", str(folder / "refs.npy"), "--queries", str(folder / "queries.npy")]
    assert main([*arguments, "--engine", f"faiss:{folder / 'bad.faiss'}"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "bad.faiss" in error


@pytest.fixture
def views(tmp_path):
    """4 query pictures of 3 views and 6 references of 4, shuffled; whole rows have norms between 1 and 3."""
    generator = np.random.default_rng(3)
    rows = {}
    for name, number, num_views in (("queries", 4, 3), ("refs", 6, 4)):
        parts = ["whole", *(f"part-{v}" for v in range(1, num_views))]
        ids = [f"{name[0]}{p}#{part}" for p in range(number) for part in parts]
        row_ND = generator.standard_normal((len(ids), 6)).astype(np.float32)
        row_ND *= generator.uniform(1, 3, (len(ids), 1)) / np.linalg.norm(row_ND, axis=1, keepdims=True)
        order = generator.permutation(len(ids))
        save(tmp_path / f"{name}.npy", row_ND[order], [ids[row] for row in order])
        rows[name] = dict(zip(ids, row_ND.astype(np.float64), strict=True))
    return tmp_path, rows["refs"], rows["queries"]


def best_views(refs, queries):
    """{(query, reference): (score, query view, reference view, ratio of the wholes)}"""
    best = {}
    for q, query_D in queries.items():
        for r, ref_D in refs.items():
            score = query_D @ ref_D / np.linalg.norm(query_D) / np.linalg.norm(ref_D)
            (query, query_view), (ref, ref_view) = q.split("#"), r.split("#")
            ratio = np.linalg.norm(queries[f"{query}#whole"]) / np.linalg.norm(refs[f"{ref}#whole"])
            best[query, ref] = max(best.get((query, ref), (-2,)), (score, query_view, ref_view, ratio))
    return best


def check_folded(rows, best):
    for row in rows:
        score, query_view, ref_view, ratio = best[row["query_id"], row["reference_id"]]
        assert float(row["score"]) == pytest.approx(score, abs=1e-6)
        assert (row["query_view"], row["reference_view"]) == (query_view, ref_view)
        assert float(row["ratio"]) == pytest.approx(ratio, rel=1e-6)
        assert row["verdict"] == ("copy" if ratio <= 1 else "original")


def test_folding_finds_k_pictures_by_their_best_views(views, capsys):
    folder, refs, queries = views
    best = best_views(refs, queries)
    status, rows = search(folder, "--fold", "max", "-k", 2)
    assert status == 0 and len(rows) == 8
    check_folded(rows, best)
    for query in ("q0", "q1", "q2", "q3"):
        ranked = sorted((pair for pair in best if pair[0] == query), key=best.get, reverse=True)[:2]
        assert {row["reference_id"] for row in rows if row["query_id"] == query} == {ref for _, ref in ranked}
    assert "search: 4 queries x 6 references -> 8 matches" in capsys.readouterr().out


@pytest.mark.parametrize("limit", [["--best-pairs", 5], ["--best-pairs", 5, "-k", 6], ["--min-score", 0.6]])
def test_folding_goes_with_every_way_to_search(views, limit):
    folder, refs, queries = views
    best = best_views(refs, queries)
    ranked = sorted(best, key=best.get, reverse=True)
    wanted = ranked[:5] if "--best-pairs" in limit else [pair for pair in ranked if best[pair][0] >= 0.6]
    _, rows = search(folder, "--fold", "max", *limit)
    check_folded(rows, best)
    assert [(row["query_id"], row["reference_id"]) for row in rows] == wanted


def test_folded_copies_are_copies_by_their_whole_pictures(views):
    folder, refs, queries = views
    best = best_views(refs, queries)
    _, rows = search(folder, "--fold", "max", "--direction", "copy")
    check_folded(rows, best)
    copies = {pair for pair, found in best.items() if found[3] <= 1}
    assert {(row["query_id"], row["reference_id"]) for row in rows} == copies


def test_folded_matches_are_evaluated_and_shown_like_others(views, capsys):
    folder, _, _ = views
    _, rows = search(folder, "--fold", "max", "--report", folder / "report.html", "--show", 2)
    assert "q0" in (folder / "report.html").read_text() and rows[0]["query_id"] in capsys.readouterr().out
    (folder / "truth.csv").write_text("query_id,reference_id\nq0,r0\nq1,\nq2,\nq3,\n")
    assert (
        main(["evaluate", "--matches", str(folder / "matches.csv"), "--truth", str(folder / "truth.csv")])
        == 0
    )


def test_views_without_their_picture_are_one_line(views, capsys):
    folder, _, _ = views
    save(folder / "queries.npy", np.eye(6)[:2], ["a#whole", "b"])
    arguments = [
        "--refs",
        str(folder / "refs.npy"),
        "--queries",
        str(folder / "queries.npy"),
        "--fold",
        "max",
    ]
    assert main(["search", *arguments, "--out", str(folder / "m.csv")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "--fold: " in said and "id 'b' is no `picture#view`" in said


def test_views_of_what_is_embedded_already_are_one_line(views, capsys):
    folder, _, _ = views
    arguments = ["--refs", str(folder / "refs.npy"), "--queries", str(folder / "queries.npy")]
    assert main(["search", *arguments, "--queries-views", "turns", "--out", str(folder / "m.csv")]) == 2
    assert "--queries-views goes with pictures" in capsys.readouterr().err


def test_a_turned_quarter_is_found_by_views_of_pictures(tmp_path):
    reference = EXAMPLES / "references" / sorted(os.listdir(EXAMPLES / "references"))[0]
    (tmp_path / "refs").mkdir()
    (tmp_path / "queries").mkdir()
    for name in sorted(os.listdir(EXAMPLES / "references"))[:6]:
        (tmp_path / "refs" / name).write_bytes((EXAMPLES / "references" / name).read_bytes())
    with Image.open(reference) as picture:
        quarter = picture.crop((0, 0, picture.width // 2, picture.height // 2))
        quarter.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "queries" / "q.png")
    arguments = ["--refs", str(tmp_path / "refs"), "--queries", str(tmp_path / "queries"), "--fold", "max"]
    sets = ["--refs-views", "quarters", "--queries-views", "turns"]
    assert main(["search", *arguments, *sets, "-k", "1", "--out", str(tmp_path / "m.csv")]) == 0
    with open(tmp_path / "m.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["reference_id"] == reference.stem and float(row["score"]) > 0.9
    assert (row["query_view"], row["reference_view"]) == ("turn-270", "quarter-1")
