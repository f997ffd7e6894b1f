from qnn.bench.table import HEADER, Part, markdown, table
from tests.bench.results_for_tests import result


def test_results_are_grouped_and_told_in_their_units():
    parts = table(
        [
            result("a", method="nearest", steps=0, seconds=1.23, test_accuracy=75.3),
            result("b", terms=2, seconds=630.0),
            result(
                "c",
                group="Language",
                model="stories260k",
                activation_bits=None,
                float_accuracy=None,
                test_accuracy=None,
                float_perplexity=4.4567,
                test_perplexity=4.8,
            ),
        ]
    )
    assert parts == [
        Part(
            "Rounding",
            (
                ("nearest", "resnet20", "3 bits", "8 bits", "75.30 %", "91.73 %", "-", "1.2 s"),
                (
                    "discquant",
                    "resnet20",
                    "3 bits, 2 terms",
                    "8 bits",
                    "91.20 %",
                    "91.73 %",
                    "1,000",
                    "10.5 min",
                ),
            ),
        ),
        Part(
            "Language",
            (
                (
                    "discquant",
                    "stories260k",
                    "3 bits",
                    "float",
                    "perplexity 4.800",
                    "4.457",
                    "1,000",
                    "75 s",
                ),
            ),
        ),
    ]


def test_seeds_of_a_run_are_one_row_with_their_spread():
    seeds = [
        result(
            f"a-seed{seed}",
            seed=seed,
            test_accuracy=90.0 + seed,
            definition={"how": "a", "seed": seed, "settings": {"seed": seed}},
        )
        for seed in range(3)
    ]
    other = result("b", definition={"how": "b", "seed": 0, "settings": {"seed": 0}})
    (part,) = table([*seeds, other])
    assert [row[4] for row in part.rows] == ["91.00 ± 1.00 (3 seeds) %", "91.20 %"]


def test_markdown_is_the_table_and_what_it_was_measured_on():
    text = markdown([result("a"), result("b", group="Other", threads=1)])
    assert text == (
        "**Rounding**\n\n"
        "| method | model | weights | activations | result | float | steps | time |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| discquant | resnet20 | 3 bits | 8 bits | 91.20 % | 91.73 % | 1,000 | 75 s |\n\n"
        "**Other**\n\n"
        "| method | model | weights | activations | result | float | steps | time |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| discquant | resnet20 | 3 bits | 8 bits | 91.20 % | 91.73 % | 1,000 | 75 s |\n\n"
        "Measured on: Test CPU, 1 thread, torch 2.13.0, commit 0123456789ab.\n"
        "Measured on: Test CPU, 2 threads, torch 2.13.0, commit 0123456789ab.\n"
    )
    assert len(HEADER) == 8


def test_what_learns_from_the_tokens_that_follow_says_so():
    plain, told = (
        result(method="latent", definition={"settings": {"next_share": share}})
        for share in (0, 0.6)
    )
    assert [row[0] for row in table([plain])[0].rows] == ["latent"]
    assert [row[0] for row in table([told])[0].rows] == ["latent, next tokens too"]
