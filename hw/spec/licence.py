"""The licence of what is generated: the project's own, which asks nothing of a network's owner."""

SPDX = "SPDX-License-Identifier: Apache-2.0"
