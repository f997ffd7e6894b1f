import re

import pytest

from tests.counts.rules import RULES, copies
from tests.counts.sources import sources


@pytest.mark.parametrize("name", RULES)
def test_a_rule_of_the_instruction_set_has_one_home(name):
    found = [line for item in sources().items() for line in copies(RULES[name], *item)]
    assert not found, f"copies of {name}:\n" + "\n".join(found)


@pytest.mark.parametrize("name", RULES)
def test_a_planted_copy_is_found(name):
    rule = RULES[name]
    planted = f"import numpy as np\n\n    {rule.copy}  # for now\n"
    assert list(copies(rule, "sim/new.py", planted)) == [f"sim/new.py:3: {rule.copy}  # for now"]


@pytest.mark.parametrize("name", RULES)
def test_every_home_and_every_other_rule_of_that_look_is_still_there(name):
    rule, files = RULES[name], sources()
    assert rule.home in files
    for other in rule.others:
        alike = (text for path, text in files.items() if path.startswith(other))
        assert any(re.search(rule.pattern, text) for text in alike), other
