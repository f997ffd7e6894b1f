from dataclasses import replace

import numpy as np
import pytest

from hw.spec.config import named_config
from hw.spec.isa.buffers import Buffer
from hw.spec.isa.header import Op
from qnn.compiler import compile_graph
from qnn.compiler.listing import listing
from qnn.compiler.stream_weights import PIECES
from qnn.errors import CompileError
from qnn.ir.graph import Graph, Output
from tests.compiler import small_graphs
from tests.operators import changed

TEST = named_config("test")


@pytest.mark.parametrize("make", [small_graphs.one_conv, small_graphs.residual,
                                  small_graphs.max_pool, small_graphs.concat,
                                  small_graphs.grouped],
                         ids=lambda make: make.__name__)  # fmt: skip
def test_programs_read_as_before(make, golden):
    golden(f"{make.__name__}.txt", listing(compile_graph(make(), TEST)))


def test_a_batch_loads_weights_once_and_the_next_image_early(golden):
    golden("batch.txt", listing(compile_graph(small_graphs.residual(), TEST, batch=2)))


def test_weights_that_do_not_fit_stream_through_half_the_buffer(golden):
    small = replace(TEST, weight_words=64, parameter_words=4)
    golden("streamed.txt", listing(compile_graph(small_graphs.concat(), small)))


def test_the_same_graph_gives_the_same_bytes():
    first, second = (compile_graph(small_graphs.network(), TEST).to_bytes() for _ in range(2))
    assert first == second


def refusal(graph, config):
    with pytest.raises(CompileError) as error:
        compile_graph(graph, config)
    return str(error.value)


def test_weights_of_one_instruction_that_do_not_fit_are_refused():
    assert refusal(small_graphs.concat(), replace(TEST, weight_words=16)) == (
        "conv 'c' needs 27 weight words for 4 output channels, but the configuration has 16 "
        "(SvpeConfig.weight_words); raise it, or use a smaller kernel or fewer channels"
    )


def test_a_table_that_the_configuration_has_no_room_for_is_refused_by_name():
    graph = small_graphs.tabled(low=-8, high=8)
    assert refusal(graph, replace(TEST, table_words=0)) == (
        "conv 'a' needs a table, but the configuration has none (SvpeConfig.table_words); give it "
        "256 words or more"
    )
    assert refusal(graph, replace(TEST, table_bits=4, table_words=64)) == (
        "conv 'a' needs a table with an index of 5 bits, but the configuration has 4 "
        "(SvpeConfig.table_bits); raise it"
    )


def test_a_table_is_loaded_once_for_all_that_share_it(golden):
    golden("tabled.txt", listing(compile_graph(small_graphs.tabled(), TEST)))


def test_feature_maps_that_do_not_fit_go_through_memory_strip_by_strip(golden):
    small = replace(TEST, feature_words=64)
    golden("strips.txt", listing(compile_graph(small_graphs.network(), small)))


def test_a_row_that_does_not_fit_is_refused():
    x = small_graphs.image(20, 6, 9)
    graph = small_graphs.graph(x, small_graphs.conv("c", x, 8))
    assert refusal(graph, replace(TEST, feature_words=64)) == (
        "conv 'c' needs 90 feature words for one row of its output, but the configuration has 64 "
        "(SvpeConfig.feature_words); raise it, or use a narrower image or fewer channels"
    )


def test_strips_of_a_very_high_image_have_more_rows_and_are_refused_by_them():
    x = small_graphs.image(8, 500, 9)
    graph = small_graphs.graph(x, small_graphs.conv("c", x, 8))
    assert refusal(graph, replace(TEST, feature_words=64)) == (
        "conv 'c' needs 72 feature words for 3 rows of its output, but the configuration has 64 "
        "(SvpeConfig.feature_words); raise it, or use a narrower image or fewer channels"
    )


def test_weights_of_one_instruction_that_do_not_fit_are_refused_in_strips_too():
    small = replace(TEST, feature_words=64, weight_words=16)
    assert refusal(small_graphs.network(), small) == (
        "conv 'last' needs 24 weight words for 4 output channels, but the configuration has 16 "
        "(SvpeConfig.weight_words); raise it, or use a smaller kernel or fewer channels"
    )


def test_wider_weights_than_the_array_decodes_are_refused():
    assert refusal(small_graphs.one_conv(), named_config("test", weight_bits=2)) == (
        "conv 'c' needs 3-bit weights, but the configuration has 2 (SvpeConfig.weight_bits); "
        "raise it"
    )


def test_wider_activations_than_a_lane_are_refused():
    assert refusal(small_graphs.one_conv(), named_config("test", activation_bits=6)) == (
        "tensor 'x' needs 8-bit activations, but the configuration has 6 "
        "(SvpeConfig.activation_bits); raise it"
    )


def test_a_sum_that_could_overflow_is_refused():
    x = small_graphs.image()
    wide = small_graphs.conv("c", x, 8, left=np.full(8, 14), right=np.full(8, 20))
    text = refusal(small_graphs.graph(x, wide), named_config("test", result_bits=24))
    assert text.startswith("conv 'c' needs 29 bits for its sums to be safe from overflow, ")


def test_coordinates_that_wrap_are_refused():
    x = small_graphs.image(1, 1, 2047)
    wide = small_graphs.conv("c", x, 1, kernel=1, padding=(0, 0, 1, 1), shape=(1, 1, 2049))
    assert refusal(small_graphs.graph(x, wide), replace(TEST, feature_words=8192)) == (
        "conv 'c' needs coordinates up to 2050, but an instruction counts to 2047; use a smaller "
        "image, stride or kernel"
    )


def test_a_kernel_that_an_instruction_cannot_count_is_refused():
    x = small_graphs.image(8, 1, 2)
    apart = small_graphs.conv("c", x, 1, kernel=1, padding=(0, 0, 3000, 0), shape=(1, 1, 3002))
    apart = changed(apart, codes=np.ones((1, 1, 8, 1, 2), np.int8), dilation=(1, 3000))
    apart = replace(apart, shape=(1, 1, 2))
    assert refusal(small_graphs.graph(x, apart), TEST) == (
        "conv 'c' does not fit an instruction: TILES.input_x must be from -2048 to 2047, not "
        "-3000; use a smaller image, kernel or padding, or fewer channels"
    )


def test_a_transfer_that_an_instruction_cannot_count_is_refused():
    x = small_graphs.image(1024, 1024, 8)
    config = replace(TEST, feature_words=1 << 20)
    with pytest.raises(CompileError) as error:
        compile_graph(small_graphs.graph(x), config, batch=513)  # each of 8 MiB
    assert str(error.value) == (
        "a load does not fit an instruction: TRANSFER.offset must be from 0 to 4294967295, not "
        "4294967296; use a smaller image or batch"
    )


def test_more_outputs_than_tokens_are_refused():
    x = small_graphs.image(1, 1, 1)
    graph = Graph((x,), (Output("x", (1, 1, 1)),) * 256)
    assert refusal(graph, TEST) == (
        "the graph has 256 outputs, but the accelerator counts 255 that wait to be stored; use "
        "fewer"
    )


def test_more_layers_than_tags_are_refused():
    with pytest.raises(CompileError) as error:
        compile_graph(small_graphs.one_conv(), TEST, batch=65537)
    assert str(error.value) == (
        "1 layers in a batch of 65537 need 65537 tags, but an instruction counts 65536; use a "
        "smaller batch"
    )


def test_a_deep_network_that_stays_on_chip_is_loaded_with_few_tokens():
    x = small_graphs.image(8, 1, 1)
    nodes = [x]
    for number in range(600):
        nodes.append(small_graphs.conv(f"c{number}", nodes[-1], 8, kernel=1, seed=number))
    graph = small_graphs.graph(*nodes)
    config = replace(TEST, weight_words=2048, parameter_words=2048)
    program = compile_graph(graph, config).program
    loads = [each for each in program if each.op is Op.LOAD and each.buffer is Buffer.WEIGHTS]
    assert sum(each.words for each in loads) == 1200
    assert len(loads) <= 2 * PIECES
