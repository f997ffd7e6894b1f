"""The passes in their order, each with what must hold before and after it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from hw.spec.config import SvpeConfig
from hw.spec.isa.encoding import Instruction
from qnn.compiler import conditions
from qnn.compiler.add_tokens import add_tokens
from qnn.compiler.assemble import assemble
from qnn.compiler.build_tasks import build_tasks
from qnn.compiler.check_limits import check_counts, check_limits
from qnn.compiler.choose_plan import choose_plan
from qnn.compiler.compilation import Compilation
from qnn.compiler.copy_factors import copy_factors
from qnn.compiler.data_section import lay_out_data, link
from qnn.compiler.hoist_loads import hoist_loads
from qnn.compiler.lower_products import lower_products
from qnn.compiler.map_memory import map_memory
from qnn.compiler.order_channels import order_channels
from qnn.compiler.place_concats import place_concats
from qnn.compiler.place_interleaves import place_interleaves
from qnn.compiler.place_tables import place_tables
from qnn.compiler.prove_bounds import prove_bounds
from qnn.compiler.recode_weights import recode_weights
from qnn.compiler.remove_unused import remove_unused
from qnn.compiler.set_fences import set_fences
from qnn.compiler.share_weights import share_weights
from qnn.compiler.shared_values import copy_shared
from qnn.compiler.stack_images import stack_images
from qnn.compiler.stream_weights import stream_weights
from qnn.ir.graph import Graph

Condition = Callable[[Compilation], None]


@dataclass(frozen=True)
class Pass:
    """One step of the compiler.

    Members
    -------
    run : the step itself
    before, after : what it may rely on, and what it promises; each raises an AssertionError
    """

    run: Callable[[Compilation], Compilation]
    before: tuple[Condition, ...] = ()
    after: tuple[Condition, ...] = ()

    @property
    def name(self) -> str:
        """The name of the function that does the work."""
        return self.run.__name__

    def __call__(self, state: Compilation, *, checked: bool = False) -> Compilation:
        """The state after the step; ``checked`` tries its conditions.

        Raises
        ------
        AssertionError
            A condition does not hold; the text names the pass.
        """
        for condition in self.before if checked else ():
            _hold(f"before {self.name}", condition, state)
        state = self.run(state)
        for condition in self.after if checked else ():
            _hold(f"after {self.name}", condition, state)
        return state


def _hold(where, condition, state):
    try:
        condition(state)
    except AssertionError as error:
        raise AssertionError(f"{where}: {error}") from None


def _on_graph(transform: Callable[[Graph], Graph]) -> Callable[[Compilation], Compilation]:
    def run(state: Compilation) -> Compilation:
        return replace(state, graph=transform(state.graph))

    run.__name__ = transform.__name__
    return run


def _on_program(
    transform: Callable[[tuple[Instruction, ...], SvpeConfig], list[Instruction]],
) -> Callable[[Compilation], Compilation]:
    def run(state: Compilation) -> Compilation:
        return replace(state, program=tuple(transform(state.program, state.config)))

    run.__name__ = transform.__name__
    return run


GRAPH_PASSES = (remove_unused, copy_factors, place_concats, place_interleaves, copy_shared)

PASSES = (
    # The graph, as the accelerator can compute it; every tensor that stays keeps its integers.
    Pass(
        _on_graph(remove_unused),
        before=(conditions.graph_is_legal,),
        after=(conditions.graph_is_legal, conditions.every_node_is_used),
    ),
    Pass(_on_graph(copy_factors), after=(conditions.graph_is_legal,)),
    Pass(
        _on_graph(place_concats),
        after=(conditions.graph_is_legal, conditions.concats_keep_apart),
    ),
    Pass(
        _on_graph(place_interleaves),
        after=(conditions.graph_is_legal, conditions.each_tensor_has_one_place),
    ),
    Pass(
        _on_graph(copy_shared),
        after=(conditions.graph_is_legal, conditions.shared_values_are_computed),
    ),
    Pass(lower_products, after=(conditions.graph_is_legal,)),
    Pass(check_limits),
    Pass(recode_weights, after=(conditions.graph_is_legal,)),
    Pass(prove_bounds, before=(conditions.graph_is_legal,)),
    Pass(order_channels, after=(conditions.graph_is_legal, conditions.orders_keep_channels)),
    Pass(
        stack_images,
        before=(conditions.graph_is_legal,),
        after=(conditions.parts_are_the_network,),
    ),
    Pass(check_counts),
    # What runs together, in how many strips, and where its tensors lie.
    Pass(
        choose_plan,
        before=(conditions.each_tensor_has_one_place,),
        after=(
            conditions.every_layer_runs_once,
            conditions.parts_meet,
            conditions.buffers_keep_apart,
        ),
    ),
    Pass(map_memory, after=(conditions.memory_keeps_apart,)),
    # Instructions in an order that is right when they are executed one after the other.
    Pass(build_tasks, after=(conditions.tags_name_layers,)),
    Pass(
        share_weights,
        before=(conditions.tasks_have_weights,),
        after=(conditions.tasks_have_weights,),
    ),
    Pass(lay_out_data),
    Pass(place_tables, after=(conditions.tables_have_slots,)),
    Pass(stream_weights, after=(conditions.reads_follow_writes,)),
    Pass(_on_program(hoist_loads), after=(conditions.reads_follow_writes,)),
    Pass(link, after=(conditions.program_ends,)),
    # What lets the engines run at the same time, and no earlier than is right.
    Pass(
        _on_program(add_tokens),
        before=(conditions.reads_follow_writes,),
        after=(conditions.tokens_are_taken,),
    ),
    Pass(_on_program(set_fences), before=(conditions.tokens_are_taken,)),
    Pass(assemble, before=(conditions.program_ends,), after=(conditions.image_holds_program,)),
)
