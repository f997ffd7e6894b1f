import pytest
import torch
import torch.nn.functional as F

from qnn.bench import language, shared, stories


@pytest.fixture
def model():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return stories.Stories().eval()


def test_the_trained_model_has_its_known_loss(shared_data, model):
    model.load_state_dict(shared.weights(shared_data, "stories260k"))
    assert sum(p.numel() for p in model.parameters()) == 260_032
    assert stories.loss(model, shared.stories(shared_data)[:50]) == pytest.approx(1.2386, abs=5e-5)


def test_rounding_sees_no_story_that_is_tested(shared_data):
    task = language.language_task("stories260k", shared_data)
    told = shared.stories(shared_data)
    assert torch.equal(torch.cat(task.tested), torch.cat(told[:300]))
    assert torch.equal(torch.cat(task.seen), torch.cat(told[1000:] + told[360:1000]))
    unseen = range(language.TESTED.start, language.HELD_OUT.stop)
    for part in language.SEEN:
        assert not set(unseen) & set(range(*part.indices(len(told))))


def test_an_answer_depends_on_earlier_tokens_alone(model):
    tokens = torch.randint(512, (2, 20), generator=torch.Generator().manual_seed(0))
    changed = tokens.clone()
    changed[:, 12:] = 3
    with torch.no_grad():
        one, other = model(tokens), model(changed)
    assert torch.equal(one[:, :12], other[:, :12])
    assert not torch.equal(one[:, 12:], other[:, 12:])


def test_the_weights_of_linear_layers_are_named(model):
    names = stories.linear_weights(model)
    assert len(names) == stories.BLOCKS * 7
    assert names[0] == "layers.0.attention.wq.weight"
    assert all(model.get_parameter(name).dim() == 2 for name in names)
    assert "tok_embeddings.weight" not in names


def test_the_loss_is_the_mean_over_all_tokens_of_all_stories(model):
    told = [torch.tensor([1, 5, 9, 2]), torch.tensor([1, 7])]
    with torch.no_grad():
        parts = [F.cross_entropy(model(s[None, :-1])[0], s[1:], reduction="sum") for s in told]
    assert stories.loss(model, told) == pytest.approx(float(sum(parts)) / 4, rel=1e-6)
    assert stories.predicted(told) == 4


def test_a_long_story_is_cut_to_the_context(model):
    long = torch.arange(600) % 512
    assert stories.predicted([long]) == 512
    assert stories.loss(model, [long]) == stories.loss(model, [long[:513]])


def test_windows_are_one_stream_in_equal_pieces():
    told = [torch.tensor([1, 5, 9]), torch.tensor([1, 7]), torch.tensor([1, 8])]
    assert stories.windows(told, 3).tolist() == [[1, 5, 9], [1, 7, 1]]


def test_a_share_of_tokens_is_drawn_anew(model):
    windows = torch.randint(512, (100, 40), generator=torch.Generator().manual_seed(0))
    copies = [
        stories.redrawn(model, windows, share, torch.Generator().manual_seed(1))
        for share in (0.0, 0.2, 0.2)
    ]
    assert torch.equal(copies[0], windows)
    assert torch.equal(copies[1], copies[2])
    assert torch.equal(copies[1][:, 0], windows[:, 0])
    assert float((copies[1] != windows).float().mean()) == pytest.approx(0.2, abs=0.03)
