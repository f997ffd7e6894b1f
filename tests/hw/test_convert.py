from amaranth import *
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from hw.convert import convert


class Buffer(wiring.Component):
    """A memory of 8 bits a word, written and read at one address."""

    def __init__(self, init):
        self._init = init
        super().__init__({"address": In(4), "i": In(8), "o": Out(8)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = words = memory.Memory(shape=8, depth=16, init=self._init)
        write, read = words.write_port(), words.read_port()
        m.d.comb += [write.addr.eq(self.address), read.addr.eq(self.address), write.en.eq(1)]
        m.d.comb += [write.data.eq(self.i), self.o.eq(read.data)]
        return m


def test_a_cleared_memory_is_one_loop():
    text = convert(Buffer([]), "top")
    assert (
        """\
  initial begin : clear_words
    integer word;
    for (word = 0; word < 16; word = word + 1)
      words[word] = 8'h00;
  end
"""
        in text
    )
    assert "words[1] = " not in text


def test_a_memory_with_content_keeps_it():
    text = convert(Buffer([0, 7]), "top")
    assert "words[0] = 8'h00;" in text
    assert "words[1] = 8'h07;" in text
    assert "clear_words" not in text


def test_the_same_component_gives_the_same_bytes():
    assert convert(Buffer([]), "top") == convert(Buffer([]), "top")
