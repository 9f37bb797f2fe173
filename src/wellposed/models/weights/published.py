"""Weights that others have published, for the networks whose layout ours have."""

from __future__ import annotations

from wellposed.models.weights.entry import Weights

__all__ = ["PUBLISHED"]

_KAIR = "https://github.com/cszn/KAIR/releases/download/v1.0/"
_DRUNET = "https://huggingface.co/deepinv/drunet/resolve/7e079a6800958ae777b48e41fc1202a2ee21ecbe/"
_DNCNN = "https://huggingface.co/deepinv/dncnn/resolve/3bb1f2a95321781343331069776c3eba98707a56/"

_TERRIS = "Terris et al., Reconstruct Anything Model, 2025, arXiv:2503.08915."
_ZHANG_2017 = (
    "Zhang et al., Beyond a Gaussian denoiser: residual learning of deep CNN for image denoising, IEEE Trans. Image "
    "Processing 26 (2017), doi:10.1109/TIP.2017.2662206."
)
_ZHANG_2022 = (
    "Zhang et al., Plug-and-play image restoration with deep denoiser prior, IEEE Trans. Pattern Analysis and Machine "
    "Intelligence 44 (2022), arXiv:2008.13751."
)
_PESQUET = (
    "Pesquet, Repetti, Terris, Wiaux, Learning maximally monotone operators for image recovery, SIAM J. Imaging "
    "Sciences 14 (2021), arXiv:2012.13247."
)
_COLOURS = {"rgb": 3, "grey": 1}
_WORDS = {"rgb": "colour", "grey": "grey"}
_DRUNET_SIZES = {"widths": (64, 128, 256, 512), "blocks": 4}

_RAM = Weights(
    name="ram",
    model="RAM",
    arguments={"size": "base", "embedding": True, "krylov": True},
    file="ram.pth.tar",
    urls=("https://huggingface.co/mterris/ram/resolve/main/ram.pth.tar",),
    licence="Not stated with the file; the authors' code, in DeepInverse, is under BSD-3-Clause.",
    data=(
        "LSDIR for photographs (84,991), LIDC-IDRI for tomography (95 % of 244,526 chest slices), and the virtual coil "
        "combinations of the fastMRI brain multicoil training set (70,748 complex slices)."
    ),
    recipe=(
        "Supervised, on many tasks at once, in grey, colour and complex images: denoising, deblurring, inpainting, "
        "super-resolution, tomography, pan-sharpening, MRI, with Gaussian and Poisson noise. Started from DRUNet; "
        "patches of 128 x 128, 16 per task, 200,000 steps of Adam at 1e-4, at 1e-5 after 180,000."
    ),
    use="Recovering images from the measurements of any linear physics, without training; a start for fine-tuning.",
    limits=(
        "It minimises distortion: what the measurements do not say comes out smooth. It was trained on noise of a "
        "standard deviation from 0.001 to 0.2 and a Poisson gain from 0.01 to 1, for images in [0, 1]. Images, physics "
        "and noise far from its training data need a check or fine-tuning; it is no medical device."
    ),
    reference=_TERRIS,
)


def _drunet_kair(colour: str, file: str, sha256: str | None, size: int | None, mirror: tuple[str, ...]) -> Weights:
    return Weights(
        name=f"drunet-{colour}",
        model="DRUNet",
        arguments={"channels": _COLOURS[colour], **_DRUNET_SIZES},
        file=file,
        urls=(_KAIR + file, *mirror),
        sha256=sha256,
        size=size,
        licence="MIT",
        data="8,794 photographs: 400 of BSD, 4,744 of Waterloo Exploration, 900 of DIV2K, 2,750 of Flickr2K.",
        recipe=(
            f"Supervised on {_WORDS[colour]} images with Gaussian noise of a standard deviation from 0 to 50/255. "
            "L1 loss, patches of 128 x 128, 16 a step, Adam at 1e-4, halved every 100,000 steps."
        ),
        use=f"Removing Gaussian noise from {_WORDS[colour]} photographs; prior of plug-and-play restoration.",
        limits="Trained up to a standard deviation of 50/255 for images in [0, 1], on photographs alone.",
        reference=_ZHANG_2022,
    )


def _drunet_deepinv(colour: str, file: str, sha256: str, size: int) -> Weights:
    return Weights(
        name=f"drunet-deepinv-{colour}",
        model="DRUNet",
        arguments={"channels": _COLOURS[colour], **_DRUNET_SIZES},
        file=file,
        urls=(_DRUNET + file,),
        sha256=sha256,
        size=size,
        licence="BSD-3-Clause",
        data="Not stated for these files; their publisher trained the earlier ones on the photographs of `drunet-rgb`.",
        recipe="Fine-tuned by the authors of DeepInverse from earlier weights of theirs; no details are published.",
        use=f"Removing Gaussian noise from {_WORDS[colour]} photographs; what DeepInverse loads by default.",
        limits=f"The range of noise levels is not published: compare with `drunet-{colour}` on your images.",
        reference=_ZHANG_2022,
    )


def _dncnn_sigma2(name: str, colour: str, file: str, sha256: str, size: int) -> Weights:
    constrained = "lipschitz" in name
    return Weights(
        name=name,
        model="DnCNN",
        arguments={"channels": _COLOURS[colour], "width": 64, "depth": 20, "bias": True},
        file=file,
        urls=(_DNCNN + file,),
        sha256=sha256,
        size=size,
        licence="BSD-3-Clause",
        data="Photographs; which ones is not stated with the file.",
        recipe=(
            f"Supervised on {_WORDS[colour]} images with Gaussian noise of a standard deviation of 2/255"
            + (", with a penalty that keeps the network nearly firmly nonexpansive." if constrained else ".")
        ),
        use=(
            "Prior of plug-and-play restoration"
            + (", where its constraint lets the iterations converge." if constrained else ".")
        ),
        limits="Blind, and made for one noise level: a standard deviation of 2/255 for images in [0, 1].",
        reference=_PESQUET,
    )


def _dncnn_kair(name: str, file: str, levels: str, *, channels: int, sha256: str | None = None) -> Weights:
    blind = "blind" in name
    pictures = "432 colour photographs of BSD" if channels == 3 else "400 grey photographs of BSD, 180 x 180"
    return Weights(
        name=name,
        model="DnCNN",
        arguments={"channels": channels, "width": 64, "depth": 20 if blind else 17, "bias": True},
        file=file,
        urls=(_KAIR + file,),
        sha256=sha256,
        licence="MIT",
        data=f"{pictures}.",
        recipe=(
            f"Supervised, with Gaussian noise of a standard deviation {levels}/255, to predict the noise. "
            f"Patches of {'50 x 50' if blind else '40 x 40'}, 128 a step, 50 epochs of stochastic gradients, the step "
            "from 1e-1 to 1e-4; batch normalisation, merged into the convolutions afterwards."
        ),
        use=(
            f"Removing Gaussian noise of a standard deviation {levels}/255 from "
            f"{'colour' if channels == 3 else 'grey'} photographs."
        ),
        limits="Blind: other noise levels than those trained on come out blurred or noisy.",
        reference=_ZHANG_2017,
    )


PUBLISHED: tuple[Weights, ...] = (
    _RAM,
    _drunet_kair(
        "rgb",
        "drunet_color.pth",
        "479abe3c5327dfd10ff54a80ec7d4098ca80752a5c9492cdff31cee430bec4b4",
        130_579_305,
        (_DRUNET + "drunet_color.pth",),
    ),
    _drunet_kair("grey", "drunet_gray.pth", None, None, ()),
    _drunet_deepinv(
        "rgb",
        "drunet_deepinv_color_finetune_22k.pth",
        "20296845d272d3d786b89ea3c1208d5f2ceb57658a499d4dd28073cbb73508aa",
        130_585_443,
    ),
    _drunet_deepinv(
        "grey",
        "drunet_deepinv_gray_finetune_26k.pth",
        "4e6aacd09e41ae50551efc61da3c7e07844ca8d3795e4cf3bc031d797fc81d08",
        130_576_161,
    ),
    _dncnn_sigma2(
        "dncnn-rgb",
        "rgb",
        "dncnn_sigma2_color.pth",
        "a405031e6bf63712d87fb09535531fda83ba77e40e5a66320e725cc302ae2bb8",
        2_683_949,
    ),
    _dncnn_sigma2(
        "dncnn-grey",
        "grey",
        "dncnn_sigma2_gray.pth",
        "50e857d22fce9cc6eba486a6e71a7357704a5607bd22c3317bf5d9d904d27b1b",
        2_674_733,
    ),
    _dncnn_sigma2(
        "dncnn-lipschitz-rgb",
        "rgb",
        "dncnn_sigma2_lipschitz_color.pth",
        "807b47af4b851f3142c2d4a1a11aef3355ae7e191b0173e4f701790fcf2264b6",
        2_683_949,
    ),
    _dncnn_sigma2(
        "dncnn-lipschitz-grey",
        "grey",
        "dncnn_sigma2_lipschitz_gray.pth",
        "7cee5e0ee5a6b268b749568fadb35ba83fe8dc2885db9a10e54009c7ab4c8fcd",
        2_674_733,
    ),
    _dncnn_kair(
        "dncnn-15",
        "dncnn_15.pth",
        "of 15",
        channels=1,
        sha256="d1f48a581f42bd932de630a13e0b776ace33f6a24efa5572c112028f632a963f",
    ),
    _dncnn_kair(
        "dncnn-25",
        "dncnn_25.pth",
        "of 25",
        channels=1,
        sha256="0451a70de9b672ae037270498fbb1c17a1c1c4403785df586ff65df5b858e5b0",
    ),
    _dncnn_kair(
        "dncnn-50",
        "dncnn_50.pth",
        "of 50",
        channels=1,
        sha256="83c11202a88e7b238d08107060c909cb3e692f8177d3470d26d3f1a7b3475a83",
    ),
    _dncnn_kair("dncnn-blind-grey", "dncnn_gray_blind.pth", "from 0 to 55", channels=1),
    _dncnn_kair("dncnn-blind-rgb", "dncnn_color_blind.pth", "from 0 to 55", channels=3),
)
"""One entry a file."""
