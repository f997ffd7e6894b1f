"""The cycle that never comes: when a part with nothing to do can act."""

# Larger than any count of cycles, and still a NumPy int64 after an addition.
NEVER = 1 << 62
