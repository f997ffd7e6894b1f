"""``qnn testbench``: a build folder and images in, a test bench that runs without qnn out."""

from qnn.cli.output import Json, print_json
from qnn.cli.sources import Build, Data, Images, read_design, read_test_images


def write_testbench(
    build: Build, data: Data = "digits", images: Images = 2, as_json: Json = False
) -> None:
    """Give the test bench in BUILD/testbench these images.

    Each build has one for random inputs. It needs no part of qnn: start BUILD/testbench/run.sh,
    with verilator, icarus or xsim as its argument.
    """
    from qnn.ir.encode import encode_input
    from qnn.runtime.given import image_count
    from qnn.testbench import FOLDER, portable_bench, write_files

    design = read_design(build)
    pixels, _ = read_test_images(data, design.graph, images)
    x = encode_input(design.graph, pixels)
    # From the files of the build, so that the bench lists those that it will find beside it.
    made = portable_bench(design.graph, design.artifact, design.backend, design.built, x)
    write_files(build, made)
    folder, count = build / FOLDER, image_count(pixels)
    if as_json:
        print_json({"testbench": str(folder), "images": count, "files": sorted(made)})
        return
    print(f"{folder}: {count} images; start {folder / 'run.sh'}")
