"""Names of what needs torch, for those who check a name and must not wait for torch."""

# In the order in which help and errors list them; tests hold them to what there is.
ZOO_NAMES = (
    *("resnet8", "resnet20", "resnet56", "resnet18", "resnet50", "dscnn", "mobilenetv1_vww"),
    *("mobilenetv1", "mobilenetv2", "digits_cnn"),
)
ROUNDING_NAMES = ("nearest", "discquant", "adaround", "gptq", "latent")
ESTIMATOR_NAMES = (
    *("straight_through", "clipped_straight_through", "reconstructed", "stochastic", "lsq"),
    *("inq", "deepshift_q", "deepshift_ps", "s3", "given"),
)
