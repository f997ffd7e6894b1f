"""The 4 KiB rule and other facts of AXI4 that hardware, drivers and simulated memories share.

Source: AMBA AXI and ACE Protocol Specification (ARM IHI 0022), section A3.4.1.
"""

PAGE_BYTES = 4096  # no burst may cross a multiple of it, so that one slave answers all of it
MOST_BURST_BEATS = 256  # AxLEN has 8 bits
