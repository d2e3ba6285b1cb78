"""From attenuation to a displayed radiograph: transmission, quantum noise, blur, grey levels."""

import numpy as np
from jaxtyping import Float, UInt8
from scipy.ndimage import gaussian_filter

PHOTONS_PER_MM2 = 4000.0  # detected without attenuation, after scaling to the nominal exposure
SCATTER = 0.009  # scattered photons relative to the unattenuated beam
BLUR_MM = 0.8
_DARK, _BRIGHT = 1.3, 4.45  # attenuation shown as black and as white


def expose(
    attenuation: Float[np.ndarray, "height width"],
    pixel: float,
    exposure: float,
    rng: np.random.Generator,
) -> UInt8[np.ndarray, "height width"]:
    """Image a map of attenuation (no unit) with pixels of ``pixel`` mm.

    Beer-Lambert transmission plus a constant scatter, normal noise with the variance of the photon
    count, Gaussian detector blur (``BLUR_MM`` and at least 0.4 pixels), then a logarithmic
    display: dense parts are bright.
    """
    photons = np.float32(PHOTONS_PER_MM2 * exposure * pixel * pixel)
    counts = np.exp(-attenuation)
    counts += np.float32(SCATTER)
    noise = rng.standard_normal(attenuation.shape, dtype=np.float32)
    noise *= np.sqrt(counts / photons)
    counts += noise
    counts = gaussian_filter(counts, max(BLUR_MM / pixel, 0.4), truncate=3.0)
    np.maximum(counts, np.float32(1e-4), out=counts)
    shown = np.log(counts)
    shown *= np.float32(-255.0 / (_BRIGHT - _DARK))
    shown -= np.float32(255.0 * _DARK / (_BRIGHT - _DARK))
    return np.clip(np.rint(shown), 0, 255).astype(np.uint8)
