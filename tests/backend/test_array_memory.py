import pytest

from hw.spec.config import named_config
from qnn.backend.array.memory import buffers, places, sections
from qnn.compiler import compile_graph
from qnn.compiler.data_section import ALIGNMENT
from tests.compiler import small_graphs


@pytest.mark.parametrize("name", ["one_conv", "residual", "concat", "tabled"])
def test_sections_of_the_image_are_its_payload(name):
    image = compile_graph(getattr(small_graphs, name)(), named_config("test"), 1, None)
    found = {section.name: section.size for section in sections(image)}
    parts = ("program", "weights", "parameters", "tables", "alignment")
    assert sum(found[part] for part in parts) == len(image.payload)
    assert 0 <= found["alignment"] < 3 * ALIGNMENT
    assert min(found["weights"], found["parameters"]) > 0
    assert (found["input"], found["output"]) == (image.input_bytes, image.output_bytes)


def test_buffers_and_places_stay_within_the_configuration():
    config = named_config("test")
    image = compile_graph(small_graphs.residual(), config, 1, None)
    sizes = (config.feature_words, config.weight_words, config.parameter_words, config.table_words)
    *used, tables = buffers(image)
    for buffer, words in zip(used, sizes[:-1], strict=True):
        assert 0 < buffer.used <= buffer.words == words
    assert (tables.used, tables.words) == (0, sizes[-1])
    tabled = compile_graph(small_graphs.tabled(), config, 1, None)
    assert buffers(tabled)[-1].used == 2 << config.table_bits
    assert [place.name for place in places(image)] == ["c"]
    assert all(place.start < place.end <= config.feature_words for place in places(image))
