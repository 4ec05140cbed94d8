"""The evaluate command on what the challenges have: descriptors of every format, JSON, limits, bad input."""

import json
import subprocess
import sys

import h5py
import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from asl_fast import evaluate
from asl_fast.embeddings import write_embeddings, write_pair
from asl_fast.errors import DONE, USER_ERROR
from asl_fast.records import Embeddings

NUM_REFS, NUM_QUERIES, NUM_MATCHES, DIMS = 60, 40, 15, 12
REF_IDS = [f"R{row:06d}" for row in range(NUM_REFS)]
QUERY_IDS = [f"Q{25_000 + row:05d}" for row in range(NUM_QUERIES)]
UUIDS = "uuid,path\n"


@pytest.fixture
def disc(tmp_path):
    """Unit descriptors: the first queries are noisy copies of references; a CRLF truth without a header."""
    generator = np.random.default_rng(1)
    refs = generator.standard_normal((NUM_REFS, DIMS))
    queries = generator.standard_normal((NUM_QUERIES, DIMS))
    matched = generator.permutation(NUM_REFS)[:NUM_MATCHES]
    queries[:NUM_MATCHES] = refs[matched] + 0.6 * queries[:NUM_MATCHES]
    lines = [f"{query},{REF_IDS[ref]}" for query, ref in zip(QUERY_IDS, matched, strict=False)]
    lines += [f"{query}," for query in QUERY_IDS[NUM_MATCHES:]]
    (tmp_path / "truth.csv").write_bytes("\r\n".join(lines).encode())
    return tmp_path, unit(queries), unit(refs), matched


def unit(row_ND):
    return (row_ND / np.linalg.norm(row_ND, axis=1, keepdims=True)).astype(np.float32)


def embeddings(row_ND, ids):
    return Embeddings(ids=ids, row_ND=row_ND)


def as_npy(folder, queries, refs):
    write_embeddings(folder / "q.npy", embeddings(queries, QUERY_IDS))
    write_embeddings(folder / "r.npy", embeddings(refs, REF_IDS))
    return ["--queries", folder / "q.npy", "--refs", folder / "r.npy"]


def as_npz(folder, queries, refs):
    np.savez(folder / "q.npz", vectors=queries, image_names=QUERY_IDS)
    np.savez(folder / "r.npz", vectors=refs, image_names=REF_IDS)
    return ["--queries", folder / "q.npz", "--refs", folder / "r.npz"]


def as_one_hdf5(folder, queries, refs):
    write_pair(folder / "both.h5", queries=embeddings(queries, QUERY_IDS), refs=embeddings(refs, REF_IDS))
    return ["--queries", folder / "both.h5", "--refs", folder / "both.h5"]


def as_hdf5_shards(folder, queries, refs):
    for name, row_ND, ids in (("q", queries, QUERY_IDS), ("r", refs, REF_IDS)):
        with h5py.File(folder / f"{name}.hdf5", "w") as file:
            file["vectors"], file["image_names"] = row_ND, [identity.encode() for identity in ids]
    return ["--queries", folder / "q.hdf5", "--refs", folder / "r.hdf5"]


def as_copynce(folder, queries, refs):
    """Rows that are not normalised, one bare tensor, one in a dict; pictures listed in CSV."""
    torch.save(torch.from_numpy(queries), folder / "q.pth")
    torch.save({"features": torch.from_numpy(refs)}, folder / "r.pth")
    for name, ids in (("q", QUERY_IDS), ("r", REF_IDS)):
        (folder / f"{name}_list.csv").write_text(UUIDS + "".join(f"{i},images/{i}.jpg\n" for i in ids))
    ids = ["--query-ids", folder / "q_list.csv", "--ref-ids", folder / "r_list.csv"]
    return ["--queries", folder / "q.pth", "--refs", folder / "r.pth", *ids]


def as_sscd(folder, queries, refs):
    """All splits in one file, in any order, one row twice as several GPUs leave it."""
    numbers = [*range(NUM_REFS), *range(25_000, 25_000 + NUM_QUERIES), 7]
    split = [0] * NUM_REFS + [1] * NUM_QUERIES + [2]
    rows = np.concatenate([refs, queries, refs[:1]])
    order = np.random.default_rng(2).permutation(len(rows)).tolist()
    order.append(order[0])
    columns = {
        "embeddings": torch.from_numpy(rows)[order],
        "image_num": torch.tensor(numbers)[order],
        "split": torch.tensor(split)[order],
        "instance_id": torch.arange(len(rows))[order],
    }
    torch.save(columns, folder / "predictions.pt")
    return ["--queries", folder / "predictions.pt", "--refs", folder / "predictions.pt"]


def run(folder, *flags):
    status = evaluate.main(["--truth", f"{folder}/truth.csv", "--out", f"{folder}/e.json",
                            "--curve", f"{folder}/e.png", *map(str, flags)])  # fmt: skip
    out = folder / "e.json"
    return status, json.loads(out.read_text()) if status == DONE and out.exists() else None


FORMATS = (as_npy, as_npz, as_one_hdf5, as_hdf5_shards, as_copynce, as_sscd)


@pytest.mark.parametrize("form", FORMATS)
def test_descriptors_of_every_format_give_the_brute_forces_numbers(disc, form, capsys):
    folder, queries, refs, matched = disc
    status, report = run(folder, "--benchmark", "disc21-dev2", "--track", "descriptor", *form(*disc[:3]))
    assert status == DONE
    score_QN = queries.astype(np.float64) @ refs.astype(np.float64).T
    right_QN = np.zeros(score_QN.shape, bool)
    right_QN[np.arange(NUM_MATCHES), matched] = True
    wanted = average_precision_score(right_QN.ravel(), score_QN.ravel())
    assert report["similarity"]["uap"] == pytest.approx(wanted, abs=1e-9)
    assert report["similarity"]["num_predictions"] == score_QN.size
    assert report["filtered"] is None  # rows of length 1 hold no norm
    said = capsys.readouterr().out
    assert (
        "disc21-dev2 has 25,000 queries and 5,009 matches, this truth 40 and 15: not to be compared" in said
    )


def test_cap_of_all_queries_together_keeps_the_brute_forces_best(disc):
    folder, queries, refs, matched = disc
    score_QN = queries.astype(np.float64) @ refs.astype(np.float64).T
    for cap in (1, 17, 200):
        _, report = run(folder, "--max-predictions", cap, *as_npy(folder, queries, refs))
        best = np.argsort(-score_QN.ravel())[:cap]
        right = [
            pair // NUM_REFS < NUM_MATCHES and matched[pair // NUM_REFS] == pair % NUM_REFS for pair in best
        ]
        assert report["similarity"]["num_predictions"] == cap
        assert report["similarity"]["true_positives"] == sum(right)
        found = np.cumsum(right) / np.arange(1, cap + 1)
        assert report["similarity"]["uap"] == pytest.approx(found[right].sum() / NUM_MATCHES)


def test_norms_of_the_rows_are_the_filter(disc):
    folder, queries, refs, _ = disc
    queries = queries.copy()
    queries[:NUM_MATCHES] *= 0.5  # copies hold less; all others as much as the references
    _, report = run(folder, *as_npy(folder, queries, refs), "--tau", "0.9")
    assert report["filtered"]["num_predictions"] == NUM_MATCHES * NUM_REFS
    assert report["filtered"]["uap"] > report["similarity"]["uap"]


def test_descriptor_track_takes_256_dimensions_and_no_more(disc, capsys):
    folder, queries, refs, _ = disc
    wide = [np.pad(rows, ((0, 0), (0, 257 - DIMS))) for rows in (queries, refs)]
    status, _ = run(folder, "--track", "descriptor", *as_npy(folder, *wide))
    assert status == USER_ERROR
    assert (
        "has 257 dimensions, but DISC21's descriptor track takes at most 256; reduce"
        in capsys.readouterr().err
    )
    assert run(folder, *as_npy(folder, *wide))[0] == DONE
    just = [rows[:, :256] for rows in wide]
    assert run(folder, "--track", "descriptor", *as_npy(folder, *just))[0] == DONE


def test_truth_that_names_a_missing_picture_is_named_by_its_line_or_counts_as_a_miss(disc, capsys):
    folder, queries, refs, matched = disc
    lost = int(matched[2])
    keep = np.arange(NUM_REFS) != lost
    write_embeddings(
        folder / "r.npy", embeddings(refs[keep], [i for i, k in zip(REF_IDS, keep, strict=True) if k])
    )
    write_embeddings(folder / "q.npy", embeddings(queries, QUERY_IDS))
    flags = ["--queries", folder / "q.npy", "--refs", folder / "r.npy"]
    assert run(folder, *flags)[0] == USER_ERROR
    assert f"truth.csv line 3: reference '{REF_IDS[lost]}' is not in" in capsys.readouterr().err
    _, report = run(folder, *flags, "--missing", "miss")
    assert report["num_truth"] == NUM_MATCHES and report["similarity"]["true_positives"] == NUM_MATCHES - 1


def test_query_that_the_truth_does_not_name_is_refused_dropped_or_counted(disc, capsys):
    folder, queries, refs, _ = disc
    flags = as_npy(folder, queries, refs)
    text = (folder / "truth.csv").read_bytes()
    (folder / "truth.csv").write_bytes(text.rpartition(b"\r\n")[0])
    assert run(folder, *flags)[0] == USER_ERROR
    assert "query 'Q25039' is unknown to" in capsys.readouterr().err
    assert run(folder, *flags, "--unlisted", "drop")[1]["similarity"]["num_predictions"] == 39 * NUM_REFS
    assert run(folder, *flags, "--unlisted", "count")[1]["similarity"]["num_predictions"] == 40 * NUM_REFS


def test_unknown_query_of_a_predictions_file_is_named_by_its_line(disc, capsys):
    folder = disc[0]
    (folder / "p.csv").write_text("Q25000,R000001,.5\r\nQ25001,R000001,.5\r\nZ,R000001,.4\r\n")
    assert run(folder, "--matches", folder / "p.csv")[0] == USER_ERROR
    assert "p.csv line 3: query 'Z' is unknown to" in capsys.readouterr().err
    _, report = run(folder, "--matches", folder / "p.csv", "--unlisted", "drop")
    assert report["similarity"]["num_predictions"] == 2
    (folder / "truth.csv").write_text("Q25000,R000001\n")  # names no query without a match: others have none
    _, report = run(folder, "--matches", folder / "p.csv")
    assert report["similarity"]["num_predictions"] == 3


def test_parts_of_disc21_are_taken_from_files_that_hold_more(disc, capsys):
    folder = disc[0]
    (folder / "truth.csv").write_text("Q00001,R1\nQ25001,R2\nQ49999,\nQ50000,R3\n")
    (folder / "p.csv").write_text("Q00001,R1,.9\nQ25001,R2,.8\nQ49999,R2,.7\nQ50000,R3,.6\n")
    for name, number in (("disc21-dev1", 1), ("disc21-dev2", 2), ("disc21-phase2", 1), ("ndec", 4)):
        _, report = run(folder, "--matches", folder / "p.csv", "--benchmark", name)
        assert report["similarity"]["num_predictions"] == number
        assert report["similarity"]["recall_at_1"] == 1
    (folder / "truth.csv").write_text("Q00001,R1\n")
    assert run(folder, "--matches", folder / "p.csv", "--benchmark", "disc21-phase2")[0] == USER_ERROR
    assert "has no match of a query from Q50000 to Q99999" in capsys.readouterr().err


def test_more_predictions_than_the_challenge_takes_are_refused_with_the_way_out(disc, capsys):
    folder = disc[0]
    rows = (f"Q{25_000 + row % 40},R{row // 40},{1 - row / 1e6}\n" for row in range(500_001))
    (folder / "p.csv").write_text("".join(rows))
    flags = ["--matches", folder / "p.csv", "--benchmark", "disc21-dev2"]
    assert run(folder, *flags)[0] == USER_ERROR
    assert "holds 500,001 predictions, but" in (said := capsys.readouterr().err)
    assert "--max-predictions 500000 keeps the best" in said
    _, report = run(folder, *flags, "--max-predictions", 500_000)
    assert report["similarity"]["num_predictions"] == 500_000
    assert report["similarity"]["curve"]["threshold"][-1] == pytest.approx(1 - 499_999 / 1e6)


def test_copynces_json_says_what_the_csv_says(disc):
    folder = disc[0]
    (folder / "truth.csv").write_text("a,A\nb,B\nb,C\nc,\n")
    (folder / "p.csv").write_text("a,A,.9\nb,X,.8\nb,C,.7\nc,A,.6\n")
    _, wanted = run(folder, "--matches", folder / "p.csv")
    (folder / "t.json").write_text('{"a": ["A"], "b": ["B", "C"], "c": []}')
    results = [["a", [["A", 0.9]]], ["b", [["X", 0.8], ["C", 0.7]]], ["c", [["A", 0.6]]]]
    for content in (results, dict(results)):
        (folder / "p.json").write_text(json.dumps(content))
        got = run(folder, "--matches", folder / "p.json", "--truth", folder / "t.json")[1]
        assert got == wanted


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[["a", [["A", NaN]]]]', "p.json: query 'a', reference 'A': score must be a finite number, got nan"),
        ('[["a", [["A", "1"]]]]', "score must be a finite number, got '1'"),
        ('[["a", [["A", true]]]]', "score must be a finite number, got True"),
        ('[["a", [["A", 1], ["A", 2]]]]', "p.json: query 'a' names a reference twice"),
        ('[["a", []], ["a", []]]', "p.json: query 'a' stands twice"),
        ('{"a": [], "a": []}', "p.json: 'a' stands twice"),
        ('[["a", [["A"]]]]', "must have pairs [reference id, score], got ['A']"),
        ('[["a"]]', "p.json: entry 0 is no"),
        ('{"a": 3}', "p.json: entry 0 is no"),
        ("3", "p.json: entry 0 is no"),
        ('[\n["a",\n', "p.json line 3: is not JSON"),
        ("[" * 100_000, "p.json"),
    ],
)  # fmt: skip
def test_json_that_can_not_be_right_is_one_line(disc, capsys, text, complaint):
    folder = disc[0]
    (folder / "p.json").write_text(text)
    assert run(folder, "--matches", folder / "p.json")[0] == USER_ERROR
    said = capsys.readouterr().err
    assert complaint in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [('["a"]', "is an object"), ('{"a": "A"}', "must have a list"), ('{"a": []}', "holds no match"),
     ('{"a": ["A", "A"]}', "names a reference twice")],
)  # fmt: skip
def test_json_truth_that_can_not_be_right_is_one_line(disc, capsys, text, complaint):
    folder = disc[0]
    (folder / "p.csv").write_text("a,A,1\n")
    (folder / "t.json").write_text(text)
    assert run(folder, "--matches", folder / "p.csv", "--truth", folder / "t.json")[0] == USER_ERROR
    assert complaint in capsys.readouterr().err


class Bomb:
    def __reduce__(self):
        return (open, ("owned", "w"))


@pytest.mark.parametrize("content", [Bomb(), {"features": Bomb()}, [Bomb()]])
def test_torch_file_that_would_run_code_is_refused_unrun(disc, capsys, content, monkeypatch):
    folder, queries, refs, _ = disc
    monkeypatch.chdir(folder)
    flags = as_copynce(folder, queries, refs)
    torch.save(content, folder / "q.pth")
    assert run(folder, *flags)[0] == USER_ERROR
    assert "holds more than tensors, and reading that could run code" in capsys.readouterr().err
    assert not (folder / "owned").exists()


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda data: data[: len(data) // 2], "cut off or no torch file"),
        (lambda data: b"", "cut off or no torch file"),
        (lambda data: b"plain text\n", "q.pth"),
    ],
)
def test_damaged_torch_file_is_one_line(disc, capsys, damage, complaint):
    folder, queries, refs, _ = disc
    flags = as_copynce(folder, queries, refs)
    (folder / "q.pth").write_bytes(damage((folder / "q.pth").read_bytes()))
    assert run(folder, *flags)[0] == USER_ERROR
    said = capsys.readouterr().err
    assert complaint in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({"a": torch.zeros(2, 2), "b": torch.zeros(2, 2)}, "must hold one tensor of rows"),
        ([1, 2], "must hold a tensor of rows, got list"),
        (torch.zeros(3), "rows must have shape (N, D)"),
        (torch.ones(NUM_QUERIES, 2, dtype=torch.int64), "rows must be float32"),
        (torch.ones(3, 2), "has 3 rows but"),
        (torch.zeros(NUM_QUERIES, DIMS), "is all zeros"),
    ],
)
def test_torch_file_of_something_else_is_one_line(disc, capsys, content, complaint):
    folder, queries, refs, _ = disc
    flags = as_copynce(folder, queries, refs)
    torch.save(content, folder / "q.pth")
    assert run(folder, *flags)[0] == USER_ERROR
    said = capsys.readouterr().err
    assert complaint in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ([], "give --matches, or both --refs and --queries"),
        (["--refs", "r.npy"], "give --matches, or both --refs and --queries"),
        (["--matches", "p.csv", "--refs", "r.npy", "--queries", "q.npy"], "give --matches, or both"),
        (["--matches", "p.csv", "--norms", "a", "b"], "--norms goes with --refs and --queries"),
        (["--matches", "p.csv", "--max-predictions", "0"], "--max-predictions must be at least 1, got 0"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(disc, capsys, flags, complaint):
    assert run(disc[0], *flags)[0] == USER_ERROR
    assert complaint in capsys.readouterr().err


def test_ids_from_a_csv_without_uuid_are_refused(disc, capsys):
    folder, queries, refs, _ = disc
    flags = as_copynce(folder, queries, refs)
    (folder / "q_list.csv").write_text("name\nQ1\n")
    assert run(folder, *flags)[0] == USER_ERROR
    assert "q_list.csv line 1: has no column uuid" in capsys.readouterr().err


def test_predictions_are_measured_without_torch(tmp_path):
    script = "import sys; from asl_fast import evaluate; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
