"""``quantize`` with weights of one term that are rounded to nearest, unless told otherwise.

What it chooses by itself takes minutes; a test that needs a quantized network, of whatever weights,
gets one in no time, and the same one whatever the defaults are.
"""

from functools import partial

from qnn.ptq.quantize import quantize as any_quantize

quantize = partial(any_quantize, rounding="nearest", terms=1)
NEAREST = ("--rounding", "nearest", "--terms", "1")  # the same of ``qnn quantize``
