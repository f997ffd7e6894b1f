import json

import pytest

from qnn.bench import results
from qnn.errors import ModelError
from tests.bench.results_for_tests import result


def test_what_is_appended_is_read(tmp_path):
    path = tmp_path / "folder" / "results.jsonl"
    given = [result("a"), result("b", test_accuracy=None, test_perplexity=4.5)]
    for one in given:
        results.append(path, one)
    assert results.read(path) == given
    assert len(path.read_text().splitlines()) == 2


def test_no_file_has_no_results(tmp_path):
    assert results.read(tmp_path / "none.jsonl") == []


def test_a_line_that_was_cut_short_is_no_result_and_is_replaced(tmp_path):
    path = tmp_path / "results.jsonl"
    results.append(path, result("a"))
    whole = path.read_text()
    path.write_text(whole + whole[: len(whole) // 2])
    assert results.read(path) == [result("a")]
    results.append(path, result("b"))
    assert results.read(path) == [result("a"), result("b")]


@pytest.mark.parametrize("line", ["hello", "[1]", '{"name": "a"}'])
def test_a_line_of_something_else_is_refused(tmp_path, line):
    path = tmp_path / "results.jsonl"
    results.append(path, result("a"))
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ModelError) as caught:
        results.read(path)
    assert str(caught.value) == (
        f"results {path} need one result a line, but line 2 is none; remove it, or choose another "
        f"file with --out"
    )


def test_bytes_that_are_no_text_are_refused_as_a_line(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_bytes(b"\xd0\xff\n")
    with pytest.raises(ModelError, match=r"but line 1 is none; remove it, or choose another file"):
        results.read(path)


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "results.jsonl"
    with pytest.raises(ModelError) as caught:
        results.append(path, result("a"))
    assert str(caught.value) == (
        f"results {path} need a writable place, but got 'File exists'; choose another with --out"
    )


def test_a_result_counts_for_the_run_that_is_still_defined_so():
    old = result("a", definition={"steps": 1}, test_accuracy=1.0)
    newer = result("a", definition={"steps": 2}, test_accuracy=2.0)
    newest = result("a", definition={"steps": 2}, test_accuracy=3.0)
    found = results.of_runs([old, newer, newest, result("b")], {"a": {"steps": 2}})
    assert found == {"a": newest}
    assert results.of_runs([old], {"a": {"steps": 2}}) == {}


def test_the_score_is_an_accuracy_or_a_perplexity():
    assert result(test_accuracy=90.0).score == (90.0, " %")
    assert result(test_accuracy=None, test_perplexity=4.5).score == (4.5, " perplexity")


@pytest.mark.parametrize(
    "change",
    [
        {"machine": {}},
        {"machine": 5},
        {"definition": {"settings": 3}},
        {"seconds": "1"},
        {"codes_after": [None]},
        {"test_accuracy": None},
        {"seed": 10**30},
    ],
)
def test_a_result_of_other_kinds_is_refused_before_a_table_meets_it(tmp_path, change):
    path = tmp_path / "results.jsonl"
    path.write_text(json.dumps(result().to_fields() | change) + "\n")
    with pytest.raises(ModelError) as error:
        results.read(path)
    assert str(error.value) == (
        f"results {path} need one result a line, but line 1 is none; remove it, or choose another "
        f"file with --out"
    )


@pytest.mark.parametrize("text", ["[" * 100_000, "{}", "\ud800"])
def test_a_line_that_is_no_object_is_refused(tmp_path, text):
    path = tmp_path / "results.jsonl"
    path.write_text(text + "\n", errors="surrogatepass")
    with pytest.raises(ModelError, match="need one result a line, but line 1 is none"):
        results.read(path)
