from tests.counts.__main__ import counts


def test_the_table_has_every_count_and_its_verdict():
    files = {
        "qnn/ir/ops/new.py": "class New: ...\n",
        "qnn/new/one.py": "class Same: ...\nbits = config.rows * config.parameter_bits\n",
        "qnn/new/two.py": "class Same: ...\nisinstance(x, New)\n" + "x = 1\n" * 299,
    }
    assert [(count.got, count.holds) for count in counts(files)] == [
        ("1", True),
        ("1", True),
        ("1", False),
        ("0.0% (qnn/new)", False),
        ("1", False),
    ]
