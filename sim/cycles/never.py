"""The cycle that never comes: when a part with nothing to do can act."""

NEVER = 1 << 62
