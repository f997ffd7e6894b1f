from dataclasses import replace

import numpy as np
import pytest

from hw.spec.config import named_config
from qnn.compiler import compile_graph
from qnn.compiler.text import program_text
from qnn.errors import CompileError
from tests.compiler import small_graphs

TEST = named_config("test")


@pytest.mark.parametrize("make", [small_graphs.one_conv, small_graphs.residual,
                                  small_graphs.max_pool, small_graphs.concat],
                         ids=lambda make: make.__name__)  # fmt: skip
def test_programs_read_as_before(make, golden):
    golden(f"{make.__name__}.txt", program_text(compile_graph(make(), TEST)))


def test_a_batch_loads_weights_once_and_the_next_image_early(golden):
    golden("batch.txt", program_text(compile_graph(small_graphs.residual(), TEST, batch=2)))


def test_weights_that_do_not_fit_stream_through_half_the_buffer(golden):
    small = replace(TEST, weight_words=64, parameter_words=4)
    golden("streamed.txt", program_text(compile_graph(small_graphs.concat(), small)))


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


def test_feature_maps_that_do_not_fit_are_refused():
    assert refusal(small_graphs.concat(), replace(TEST, feature_words=64)) == (
        "the feature maps 'both' (90), 'c' (60) need 150 feature words at a time, but the "
        "configuration has 64 (SvpeConfig.feature_words); raise it, or use a smaller image"
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
    text = refusal(small_graphs.graph(x, wide), named_config("test", accumulator_bits=24))
    assert text.startswith("conv 'c' needs 29 accumulator bits to be safe from overflow, ")


def test_coordinates_that_wrap_are_refused():
    x = small_graphs.image(1, 1, 2047)
    wide = small_graphs.conv("c", x, 1, kernel=1, padding=(0, 0, 1, 1), shape=(1, 1, 2049))
    assert refusal(small_graphs.graph(x, wide), replace(TEST, feature_words=8192)) == (
        "conv 'c' needs coordinates up to 2049, but an instruction counts to 2047; use a smaller "
        "image, stride or kernel"
    )
