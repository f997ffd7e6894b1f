"""``python -m qnn.farm.ray_probe ADDRESS`` ends well if a Ray cluster answers at ADDRESS.

A process of its own, because Ray ends the process that asks where none does.
"""

import sys


def main(address: str) -> int:
    """The exit status; the last line of standard output says why it is not 0."""
    import ray

    from qnn.farm.ray_address import QUIET

    try:
        ray.init(address=address, **QUIET)
    except Exception as error:  # any: it is told in one line, whatever it is
        print(" ".join(str(error).split())[:300])
        return 1
    ray.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
