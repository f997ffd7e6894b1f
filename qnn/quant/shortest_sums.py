"""The sums of codes that are a sign and a magnitude, and the shortest way to write each."""

from collections.abc import Sequence

import numpy as np

UNKNOWN = 1 << 62  # cost of what is no sum
ONE_CODE = 1 << 40  # cost of a code that is not zero: more than all magnitudes of a sum together


def shortest_sums(
    magnitudes: Sequence[int], terms: int, shift: int
) -> tuple[np.ndarray, np.ndarray]:
    """All sums of ``terms`` codes from zero upwards, each code 2**shift times the next one.

    Parameters
    ----------
    magnitudes : of the codes 1 and so on, ascending; code -m is minus that of m, and 0 is nothing

    Returns
    -------
    sums : (count,) int64, ascending
    codes : (count, terms) int8; of the ways to write a sum, one with the fewest codes not zero, of
        these one that ends with zeros, and then of small magnitudes
    """
    signed = np.array([-m for m in reversed(magnitudes)] + [0, *magnitudes])
    cost, last = np.zeros(1, np.int64), []  # of the sums of no code: of zero alone
    for _ in range(terms):
        cost, codes = _one_more(cost, magnitudes, shift)
        last.append(codes)
    sums = np.flatnonzero(cost[len(cost) // 2 :] < UNKNOWN)
    # The last code is one of the sum; without it, what is left is a sum of the codes before.
    codes, left = np.empty((len(sums), terms), np.int8), sums.copy()
    for term in reversed(range(terms)):
        codes[:, term] = last[term][left + len(last[term]) // 2]
        left = (left - signed[codes[:, term].astype(np.int64) + len(magnitudes)]) >> shift
    return sums, codes


def _one_more(before, magnitudes, shift):
    """Costs and last codes of all sums of one code more, from the lowest sum to the highest.

    ``before`` holds the costs of the sums of the codes before.
    """
    # A cost is codes that are not zero, times ONE_CODE, and the sum of magnitudes, as they weigh.
    count = before // ONE_CODE * ONE_CODE
    spread = np.where(before < UNKNOWN, count + ((before - count) << shift), UNKNOWN)
    most = magnitudes[-1]
    size = (len(before) - 1 << shift) + 2 * most + 1
    cost, codes = np.full(size, UNKNOWN), np.zeros(size, np.int8)

    def places(step):
        return slice(most + step, size - most + step, 1 << shift)

    # The greatest first, so that of two equal ways the same one is always found.
    for code in range(len(magnitudes), 0, -1):
        step = magnitudes[code - 1]
        for index, place in ((code, places(step)), (-code, places(-step))):
            found = np.where(spread < UNKNOWN, spread + ONE_CODE + step, UNKNOWN)
            better = found < cost[place]
            cost[place][better], codes[place][better] = found[better], index
    # Zero last: it wins against as many codes that are not zero, whatever their magnitudes.
    place = places(0)
    better = spread // ONE_CODE <= cost[place] // ONE_CODE
    cost[place][better], codes[place][better] = spread[better], 0
    return cost, codes
