"""What one trial of a mutant showed."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Seen:
    """What one trial of a mutant showed.

    Members
    -------
    ended : why nothing could be compared, in one line; None if values were
    passed : whether ``verify`` found nothing
    layer : that ``verify`` names, or the compiler's proof of the program
    programs : digest of what each layer's instructions are, by layer, in order
    made : digest of all that the compiler makes for one image a run, with its estimate of cycles
    """

    ended: str | None
    passed: bool = False
    layer: str | None = None
    programs: dict[str, str] = field(default_factory=dict)
    made: str | None = None

    @property
    def line(self) -> str | None:
        """What found the mutant, in one line; None if nothing did."""
        if self.ended is not None or self.passed:
            return self.ended
        return f"verify names {self.layer}"

    def localised(self, sound: "Seen") -> bool:
        """Whether the layer that is named is one that the fault changed.

        A fault of a simulator changes no program: the layer whose values are wrong is right then.
        A fault that changes one layer's program may show in another, whose name leads astray.

        Parameters
        ----------
        sound : what the same trial shows without the mutant
        """
        if self.layer is None:
            return False
        names = sound.programs.keys() | self.programs.keys()
        changed = {name for name in names if self.programs.get(name) != sound.programs.get(name)}
        return not changed or self.layer in changed
