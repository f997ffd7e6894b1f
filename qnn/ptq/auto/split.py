"""Which images judge, which ones weights are fitted to, and which ones they learn from."""

from dataclasses import dataclass

import torch
from torch import Tensor

from qnn.ptq.chunks import pixels_per_image
from qnn.ptq.data import drawn

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
    judges : numbers of those that judge, in all that were given
    """

    held: Images
    fitted: Images
    whole: Images
    lessons: Images
    judges: Tensor

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
    def of(given: Images, calibrated: Tensor) -> "Split":
        """One image alone is for everything.

        Parameters
        ----------
        calibrated : numbers of those that types were chosen on, ``to_calibrate`` but for outliers
        """
        count = len(calibrated)
        # One image judges what was fitted to it.
        judging = max(1, count // 2)
        more = _further(given, calibrated)
        further = _judging(given, len(more))
        judges = torch.cat((calibrated[:judging], more[:further]))
        rest = torch.cat((calibrated[judging % count :], more[further:]))
        held, lessons = taken(given, judges), taken(given, rest)
        most = _most_fitted(given)
        fitted = tuple(each[:most] for each in lessons)
        return Split(held, fitted, taken(given, calibrated[:most]), lessons, judges)

    @property
    def has_more(self) -> bool:
        """Whether the chosen design may be fitted to more images, as nothing is to be judged."""
        return len(self.whole[0]) > len(self.fitted[0])


def to_calibrate(count: int) -> Tensor:
    """The numbers of the images that types are chosen on, of so many."""
    return torch.from_numpy(drawn(count, CALIBRATED))


def taken(images: Images, numbers: Tensor) -> Images:
    """Those images of each input."""
    return tuple(each[numbers] for each in images)


def _further(given, calibrated) -> Tensor:
    """Numbers of more images; of none that reaches further than all that types were chosen on."""
    count = min(LESSONS, LESSON_VALUES // sum(each[0].numel() for each in given))
    # Those that types were chosen on are the first ones of the same order.
    more = torch.from_numpy(drawn(len(given[0]), count)[CALIBRATED:])
    reaches = [
        each[more].flatten(1).abs().amax(1) <= each[calibrated].abs().amax() for each in given
    ]
    return more[torch.stack(reaches).all(0)]


def _most_fitted(images) -> int:
    return min(FITTED, max(FEWEST, PIXELS // pixels_per_image(images)))


def _judging(images, further) -> int:
    """How many of so many further images judge."""
    return min(int(JUDGING * further), JUDGED_PIXELS // pixels_per_image(images))
