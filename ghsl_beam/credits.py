"""Credits that the inputs ask for; they go with every product."""

CREDITS = (
    "contains modified Copernicus Sentinel data; GHS-S2Net models: European Commission, "
    "Joint Research Centre (Corbane, Syrris, Sabo et al. 2020), CC BY 4.0"
)
