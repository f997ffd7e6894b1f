"""Names of what needs torch, for those who check a name and must not wait for torch."""

# In the order in which help and errors list them; tests hold them to what there is.
ZOO_NAMES = (
    *("resnet8", "resnet20", "resnet56", "resnet18", "resnet50", "dscnn", "mobilenetv1_vww"),
    *("mobilenetv1", "mobilenetv2", "digits_cnn"),
)
# Packages of networks, installed by the name of the module. Nothing else is advised to be
# installed: a mistyped name may be that of somebody's package.
PACKAGES = ("timm", "torchvision", "torchaudio", "transformers", "brevitas")
ROUNDING_NAMES = ("nearest", "discquant", "adaround", "gptq", "latent")
ESTIMATOR_NAMES = (
    *("straight_through", "clipped_straight_through", "reconstructed", "stochastic", "lsq"),
    *("inq", "deepshift_q", "deepshift_ps", "s3", "given"),
)


def import_advice(module: str | None) -> str:
    """What to do where a factory cannot be imported, as ``module`` is not there, if it is that."""
    outermost = (module or "").partition(".")[0]
    install = f", or install what is missing: pip install {outermost}"
    return f"check the name and PYTHONPATH{install if outermost in PACKAGES else ''}"
