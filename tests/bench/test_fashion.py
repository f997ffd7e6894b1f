import torch

from qnn.bench.fashion import FASHION, FashionCnn, trained_fashion_cnn
from qnn.nn.data import Dataset
from qnn.ptq.quantize import quantize


def test_it_trains_the_same_for_a_seed_and_is_quantized(monkeypatch):
    monkeypatch.setattr("qnn.bench.fashion.EPOCHS", 1)
    draws = torch.Generator().manual_seed(0)
    x = torch.randint(256, (256, *FASHION.shape), generator=draws, dtype=torch.uint8)
    y = torch.randint(10, (256,), generator=draws)
    data, numbers = Dataset(x, y, x[:32], y[:32]), torch.get_rng_state()
    one, two = (trained_fashion_cnn(data).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert torch.equal(torch.get_rng_state(), numbers)
    model = FashionCnn()
    model.load_state_dict(one)
    grids = {"rounding": "nearest", "terms": 2, "mean": FASHION.mean, "std": FASHION.std}
    quantized = quantize(model.eval(), x, **grids)
    assert {conv.window.groups for conv in quantized.plan.convs} >= {1, 16, 32}
