"""``qnn verify``: how thorough it is, and what it says."""

import json


def test_a_thorough_verification_says_what_it_ran(qnn, build):
    arguments = ("verify", build, "--device", "functional", "--images", 1, "--thorough")
    code, text, _ = qnn(*arguments, "--json")
    result = json.loads(text)
    assert (code, result["passed"], result["mismatches"]) == (0, True, 0)
    assert [trial["name"] for trial in result["trials"]] == [
        "a network of every kind",
        "a network in strips",
        "a network of long loops",
        "a network of the longest loops",
    ]
    assert all(trial["passed"] and not trial["failure"] for trial in result["trials"])
    values = sum(trial["values_compared"] for trial in result["trials"])
    assert 0 < values < result["values_compared"]
    assert qnn(*arguments)[1] == (
        f"verify: PASS 0/{result['values_compared']} mismatches in 5 runs\n"
    )


def test_only_rtl_has_a_memory_that_stalls(qnn, build):
    code, out, err = qnn("verify", build, "--device", "functional", "--stalls", 3)
    assert (code, out) == (2, "")
    assert "--stalls is of device rtl, not of functional" in err
