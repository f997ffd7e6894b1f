"""Which images judge, which ones weights are fitted to, and which ones they learn from."""

from dataclasses import dataclass

import torch
from torch import Tensor

from qnn.ptq.data import sample

Images = tuple[Tensor, ...]  # (count, ...) of each input

CALIBRATED = 1536  # images that types are chosen on, at most; half of them judge
# ResNet-8 of one term loses 0.076 nats where it is fitted to 512 images, 0.070 with 2,048 and 0.066
# with 4,096, for as many times the time.
FITTED = 1024  # images that weights are fitted to, at most
# Of an input, 512 images of 128 x 128: the tensors of a few layers have to fit in memory.
PIXELS = 1 << 23
FEWEST = 32  # images that weights are fitted to, however large, and that can judge
FEW = 256  # images that weights are fitted to where layers are compared in whole designs
# Of further images, a quarter judge too: a standard error of 0.4 points, as 768 images of a
# ResNet-8 leave, decides between designs by chance.
JUDGING = 0.25
JUDGED_PIXELS = 1 << 22  # of an input, of these, at most: 4,096 images of 32 x 32, 83 of 224 x 224
LESSONS = 8192  # images that weights learn from together, at most
LESSON_VALUES = 1 << 27  # of them, at most: 512 MiB


@dataclass(frozen=True, eq=False)
class Split:
    """Images by what they are for.

    Members
    -------
    held : that judge
    fitted : that weights are fitted to
    whole : that the weights of the chosen design are fitted to at last, where images are few: then
        those that have judged are among them
    lessons : that weights learn from together
    """

    held: Images
    fitted: Images
    whole: Images
    lessons: Images

    def __str__(self) -> str:
        fitted, held = len(self.fitted[0]), len(self.held[0])
        # What is lost on so few is no estimate; with one, there is not even an error of it.
        few = "" if held >= FEWEST else ", too few to judge by: give some hundred"
        return f"{fitted} image{'s' * (fitted > 1)} to fit, {held} held out{few}"

    @property
    def few(self) -> Images:
        """Those that weights are fitted to where layers are compared in whole designs."""
        return tuple(each[:FEW] for each in self.fitted)

    @staticmethod
    def of(calibrated: Images, given: Images) -> "Split":
        """One image alone is for everything.

        Parameters
        ----------
        calibrated : ``to_calibrate(given)`` but for outliers
        """
        count = len(calibrated[0])
        # One image judges what was fitted to it.
        judging = max(1, count // 2)
        rest = tuple(each[judging % count :] for each in calibrated)
        more = _further(calibrated, given)
        judges = _judging(more)
        held = tuple(
            torch.cat((each[:judging], further[:judges]))
            for each, further in zip(calibrated, more, strict=True)
        )
        lessons = tuple(
            torch.cat((each, further[judges:])) for each, further in zip(rest, more, strict=True)
        )
        most = _most_fitted(calibrated)
        return Split(
            held,
            tuple(each[:most] for each in lessons),
            tuple(each[:most] for each in calibrated),
            lessons,
        )

    @property
    def has_more(self) -> bool:
        """Whether the chosen design may be fitted to more images, as nothing is to be judged."""
        return len(self.whole[0]) > len(self.fitted[0])


def to_calibrate(given: Images) -> Images:
    """The images that types are chosen on, of all."""
    return sample(given, CALIBRATED)


def _further(calibrated, given) -> Images:
    """More images, but for those that reach further than all that types were chosen on."""
    count = min(LESSONS, LESSON_VALUES // sum(each[0].numel() for each in given))
    # Those that types were chosen on are the first ones of the same order.
    more = tuple(each[CALIBRATED:] for each in sample(given, count))
    reaches = [
        each.flatten(1).abs().amax(1) <= known.abs().amax()
        for each, known in zip(more, calibrated, strict=True)
    ]
    near = torch.stack(reaches).all(0)
    return tuple(each[near] for each in more)


def _most_fitted(images) -> int:
    return min(FITTED, max(FEWEST, PIXELS // _pixels(images)))


def _judging(further) -> int:
    """How many of further images judge."""
    return min(int(JUDGING * len(further[0])), JUDGED_PIXELS // _pixels(further))


def _pixels(images) -> int:
    """Of one image, the largest of all inputs."""
    return max(each.shape[2:].numel() for each in images)
