"""Small untrained denoisers on disk, for stages and what drives them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

#: Half a second at 256 Hz.
N_TIMES = 128
TEMPLATE = ("Fp1", "Fz", "C3", "Cz", "C4", "Oz")


@cache
def tiny(network: str = "art") -> Path:
    """Folder of a denoiser that changes its input to something else."""
    from bci.denoise.artifact import save
    from models.denoising import Denoiser, build
    from models.devices import seeded

    small = {"width": 16, "n_heads": 2, "n_hidden": 32, "n_layers": 1}
    settings = {"art": small, "u_net": {"widths": [4, 6], "taps": 5}}[network]
    n_channels = {"art": len(TEMPLATE), "u_net": 1}[network]
    with seeded([0]):
        denoiser = Denoiser(build(network, n_channels, N_TIMES, **settings))
    folder = Path(mkdtemp(prefix="denoiser-")) / network
    save(
        folder,
        denoiser,
        {
            "network": network,
            "settings": settings,
            "n_channels": n_channels,
            "n_times": N_TIMES,
            "sfreq": 256.0,
            "ch_names": TEMPLATE if n_channels > 1 else (),
        },
    )
    return folder
