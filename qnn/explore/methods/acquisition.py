"""The model of a search and its acquisition, by botorch."""

import torch
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.objective import IdentityMCMultiOutputObjective
from botorch.exceptions import ModelFittingError
from botorch.fit import fit_gpytorch_mll
from botorch.models import ModelList, SingleTaskGP
from botorch.models.deterministic import GenericDeterministicModel
from botorch.optim import optimize_acqf_discrete
from botorch.sampling.get_sampler import get_sampler
from botorch.utils.multi_objective.hypervolume import infer_reference_point
from gpytorch.kernels import MaternKernel, ScaleKernel
from gpytorch.means import Mean
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import LogNormalPrior
from torch import Tensor

from qnn.explore.accuracy import SURE
from qnn.explore.evaluation import Evaluated
from qnn.explore.goals import METRICS, Metric
from qnn.explore.space import Vector
from qnn.explore.state import SearchState

# Each sample has a front of its own, whose cells take most of the time.
SAMPLES = 32  # of what is not known, over which the improvement is averaged
STEPS = 60  # of fitting a model, after which hardly anything changes
LEAST_NOISE = 1e-4  # variance of a figure, relative to that of all: the model's smallest
CHUNK = 32  # candidates at a time


class Predicted(Mean):
    """The mean of a process: a column of its inputs, and a constant that is learnt."""

    def __init__(self, column: int):
        super().__init__()
        self.column = column
        self.register_parameter("constant", torch.nn.Parameter(torch.zeros(())))

    def forward(self, x: Tensor) -> Tensor:
        """(..., designs) of (..., designs, columns)."""
        return x[..., self.column] + self.constant


class Acquisition:
    """What is known of a search as a model, and how much any design should add.

    Inputs of the model are a design's encoding and, behind it, a prediction for each metric.

    Parameters
    ----------
    state : with designs that did not fail
    seed : of the samples
    """

    def __init__(self, state: SearchState, seed: int):
        self._state = state
        self._known = state.usable
        bounded = [each.metric for each in state.goals.constraints]
        names = dict.fromkeys((*state.goals.objectives, *bounded))
        # Cells beyond a bound are in no space, so that a model needs none of them.
        self._metrics = [
            METRICS[name]
            for name in names
            if name in state.goals.objectives or not METRICS[name].exact
        ]
        self._width = len(state.space.encode(next(iter(self._known))))
        self._offsets = dict.fromkeys(names, 0.0)
        self._scales = dict.fromkeys(names, 1.0)
        for metric in self._metrics:
            self._set_scale(metric)
        inputs = self._inputs(list(self._known))
        outcomes = torch.stack([self._outcomes(metric) for metric in self._metrics], 1)
        models = [
            self._model(inputs, outcomes[:, n : n + 1], n, metric)
            for n, metric in enumerate(self._metrics)
        ]
        model = ModelList(*models)
        self._function = qLogNoisyExpectedHypervolumeImprovement(
            model=model,
            ref_point=self._reference(outcomes),
            X_baseline=inputs,
            sampler=get_sampler(model.posterior(inputs), torch.Size([SAMPLES]), seed=seed),
            objective=IdentityMCMultiOutputObjective(
                outcomes=list(range(len(state.goals.objectives))), num_outcomes=len(models)
            ),
            constraints=self._constraints() or None,
            prune_baseline=True,
            # Exact models have no factors to keep.
            cache_root=False,
        )

    def best(self, pool: list[Vector], count: int) -> list[Vector]:
        """The designs of ``pool``, chosen one after the other, that together add most."""
        choices = self._inputs(pool)
        found, _ = optimize_acqf_discrete(
            self._function, min(count, len(pool)), choices, max_batch_size=CHUNK, unique=True
        )
        # Designs of one encoding are one design.
        return [pool[int((choices == row).all(1).nonzero()[0, 0])] for row in found]

    def _set_scale(self, metric: Metric) -> None:
        """Utilities become numbers about 0 with a spread of 1, as the priors of a model expect."""
        values = [metric.utility(each.value(metric.name)) for each in self._known.values()]
        held = torch.tensor(values, dtype=torch.float64)
        self._offsets[metric.name] = float(held.mean())
        self._scales[metric.name] = float(held.std()) or 1.0

    def _scaled(self, name: str, utility: float) -> float:
        return (utility - self._offsets[name]) / self._scales[name]

    def _inputs(self, vectors: list[Vector]) -> Tensor:
        """(designs, dimensions and metrics)."""
        rows = [
            [
                *self._state.space.encode(vector),
                *(
                    self._scaled(metric.name, self._state.predicted(vector, metric.name))
                    for metric in self._metrics
                ),
            ]
            for vector in vectors
        ]
        return torch.tensor(rows, dtype=torch.float64)

    def _outcomes(self, metric: Metric) -> Tensor:
        values = [
            self._scaled(metric.name, metric.utility(each.value(metric.name)))
            for each in self._known.values()
        ]
        return torch.tensor(values, dtype=torch.float64)

    def _model(self, inputs: Tensor, outcomes: Tensor, number: int, metric: Metric):
        column = self._width + number
        if metric.exact:
            return GenericDeterministicModel(lambda x: x[..., column : column + 1], num_outputs=1)
        noise = [self._variance(metric, each) for each in self._known.values()]
        width = self._width
        kernel = MaternKernel(
            nu=2.5,
            ard_num_dims=width,
            active_dims=tuple(range(width)),
            # Wider for more dimensions: Hvarfner et al., arXiv:2402.02229, as botorch has it.
            lengthscale_prior=LogNormalPrior(2**0.5 + 0.5 * torch.tensor(width).log(), 3**0.5),
        )
        model = SingleTaskGP(
            inputs,
            outcomes,
            torch.tensor(noise, dtype=torch.float64)[:, None],
            mean_module=Predicted(column),
            covar_module=ScaleKernel(kernel),
            outcome_transform=None,
        )
        try:
            likelihood = ExactMarginalLogLikelihood(model.likelihood, model)
            fit_gpytorch_mll(likelihood, optimizer_kwargs={"options": {"maxiter": STEPS}})
        except ModelFittingError:
            # With the parameters that it begins with, it still prefers what is predicted well.
            model.eval()
        return model

    def _variance(self, metric: Metric, design: Evaluated) -> float:
        """Of a figure's scaled utility."""
        if metric.log:
            return LEAST_NOISE
        figure = design.figures[metric.name]
        error = (figure.high - figure.low) / (2 * SURE)
        return max((error / self._scales[metric.name]) ** 2, LEAST_NOISE)

    def _reference(self, outcomes: Tensor) -> Tensor:
        """What a design must be better than: a little less than the worst that is of use."""
        feasible = torch.tensor([self._state.goals.feasible(e) for e in self._known.values()])
        objectives = outcomes[:, : len(self._state.goals.objectives)]
        return infer_reference_point(objectives[feasible] if feasible.any() else objectives)

    def _constraints(self) -> list:
        """Functions that are negative where a constraint is kept, of what is not known exactly."""
        names = [metric.name for metric in self._metrics]
        found = []
        for each in self._state.goals.constraints:
            metric = METRICS[each.metric]
            if metric.exact:
                continue
            bound = self._scaled(metric.name, metric.utility(each.bound))
            place = names.index(each.metric)
            # Utilities rise with what is better, and a bound of the other side is kept by less.
            sign = 1.0 if each.most == (metric.sign < 0) else -1.0
            found.append(lambda y, p=place, b=bound, s=sign: s * (b - y[..., p]))
        return found
