"""Pipelines of scikit-learn as skl2onnx writes them: scaled features, layers, labels."""

import numpy as np
import pytest
import torch

import qnn
from qnn.errors import ModelError
from qnn.frontend.onnx.read import from_onnx
from tests.frontend.onnx.files import check_equal, helper, run, write
from tests.nearest import quantize

GENERATOR = np.random.default_rng(3)
node = helper.make_node
ML = {"domain": "ai.onnx.ml"}


def some(*shape):
    return GENERATOR.uniform(-1, 1, shape).astype(np.float32)


def pipeline(folder, classes=(0, 1, 2), scale=(0.5, 2.0, 1.0, 0.25)):
    nodes = [
        node("Scaler", ["x"], ["scaled"], offset=[0.5] * len(scale), scale=list(scale), **ML),
        node("MatMul", ["scaled", "w"], ["product"]),
        node("Add", ["product", "b"], ["sum"]),
        node("Softmax", ["sum"], ["probabilities"]),
        node("ArgMax", ["probabilities"], ["places"], axis=1),
        node("ArrayFeatureExtractor", ["classes", "places"], ["row"], **ML),
        node("Reshape", ["row", "sizes"], ["whole"]),
        node("Cast", ["whole"], ["label"], to=7),
    ]
    constants = {"w": some(4, 3), "b": some(1, 3), "sizes": np.array([-1])}
    constants["classes"] = np.array(classes, np.int32)
    path = folder / "m.onnx"
    return write(path, nodes, {"x": ["n", 4]}, ["label", "probabilities"], constants)


def test_a_pipeline_is_the_file_and_gives_its_labels(tmp_path):
    path = pipeline(tmp_path)
    check_equal(path, (4,))
    x = torch.rand(64, 4, generator=torch.Generator().manual_seed(0)) * 4 - 2
    labels, probabilities = run(path, x.numpy())
    model = quantize(from_onnx(path), x, terms=4, weight_bits=5, activation_bits=14)
    design = qnn.compile(qnn.export(model), "test")
    found, near = qnn.simulate(design, x, device="functional").results
    assert np.abs(near - probabilities).max() < 0.01
    sure = np.diff(np.sort(probabilities)[:, -2:])[:, 0] > 0.02
    np.testing.assert_array_equal(found[sure].ravel(), labels[sure])


def test_one_factor_scales_all_features(tmp_path):
    check_equal(pipeline(tmp_path, scale=[0.25]), (4,))


def test_labels_that_are_no_places_are_refused(tmp_path):
    with pytest.raises(ModelError, match="needs classes that are numbered from 0 on"):
        from_onnx(pipeline(tmp_path, classes=(3, 5, 7)))


def test_maps_of_probabilities_are_refused_with_the_option_that_leaves_them_out(tmp_path):
    nodes = [node("ZipMap", ["x"], ["y"], classlabels_int64s=[0, 1], **ML)]
    path = write(tmp_path / "m.onnx", nodes, {"x": ["n", 2]}, ["y"])
    with pytest.raises(ModelError, match=r"options=\{'zipmap': False\}"):
        from_onnx(path)
