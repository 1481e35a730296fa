"""Masks of things through time by SAM 2, from one box of each.

Source: Ravi et al. 2024, "SAM 2: Segment Anything in Images and Videos".
"""

from __future__ import annotations

import cv2
import numpy as np

from sora_eval.tracking.open_vocab.hub import HubModel, load
from sora_eval.types import Bools, Box, Floats, Frames

KINDS = ("sam2_video",)
_NETWORK, _PROCESSOR = "Sam2VideoModel", "Sam2VideoProcessor"
_PART = 0.2
"""Size of a part, in that of the largest one, below which it is a speckle."""


def masks_through(model: HubModel, device: str, frames: Frames, at: int, box: Box) -> Bools:
    """Return the masks [T, H, W] of the thing in a box of frame `at`, followed forwards and backwards; frames: uint8 [T, H, W, 3].

    Raises:
        AbsentModelError, ConfigError: the network can't be loaded.
    """
    import torch

    loaded = load(model, _NETWORK, _PROCESSOR, device)
    processor, network = loaded.processor, loaded.network
    masks = np.zeros(frames.shape[:3], dtype=bool)
    size = [list(frames.shape[1:3])]
    with torch.inference_mode():
        session = processor.init_video_session(
            video=frames, inference_device=device, video_storage_device="cpu", dtype=torch.float32
        )
        processor.add_inputs_to_inference_session(
            inference_session=session, frame_idx=at, obj_ids=1, input_boxes=[[[float(v) for v in box]]]
        )
        network(inference_session=session, frame_idx=at)
        for reverse in (False, True):
            for out in network.propagate_in_video_iterator(session, start_frame_idx=at, reverse=reverse):
                (scaled,) = processor.post_process_masks([out.pred_masks], original_sizes=size, binarize=True)
                there = float(out.object_score_logits.reshape(-1)[0]) > 0
                masks[out.frame_idx] = scaled[0, 0].cpu().numpy() if there else False
    return masks


def measured(masks: Bools) -> tuple[Floats, Floats, Floats]:
    """Return boxes [T, 4], centroids [T, 2] (NaN where there is no mask) and areas [T] of masks [T, H, W], in pixels.

    A box ends at its last pixel, as those of the detectors do.
    """
    frames = len(masks)
    box, xy, area = np.full((frames, 4), np.nan), np.full((frames, 2), np.nan), np.zeros(frames)
    for t, mask in enumerate(masks):
        count, _, stats, middles = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        if count < 2:
            continue
        sizes = stats[1:, cv2.CC_STAT_AREA]
        kept = 1 + np.flatnonzero(sizes >= _PART * sizes.max())
        left, top = stats[kept, cv2.CC_STAT_LEFT], stats[kept, cv2.CC_STAT_TOP]
        right, bottom = left + stats[kept, cv2.CC_STAT_WIDTH], top + stats[kept, cv2.CC_STAT_HEIGHT]
        box[t] = left.min(), top.min(), right.max() - 1, bottom.max() - 1
        area[t] = stats[kept, cv2.CC_STAT_AREA].sum()
        xy[t] = np.average(middles[kept], axis=0, weights=stats[kept, cv2.CC_STAT_AREA])
    return box, xy, area
