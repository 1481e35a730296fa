import numpy as np
import pytest

from sora_eval.data.cameras import POSE, item_poses, mirrored_poses
from sora_eval.data.shards import Item, mirrored
from sora_eval.world.families import draw


def item(family, number):
    return Item(family, number, draw(family, number, 0)[0].to_json(), (), ())


@pytest.mark.parametrize("family", ["single", "room", "camera_pan", "evolves_unseen", "two_shots"])
def test_poses_of_a_mirrored_clip_are_the_mirrored_poses(family):
    for number in range(6):
        poses = item_poses(item(family, number), 9, (64, 96))
        assert poses.shape == (9, POSE)
        assert mirrored_poses(poses) == pytest.approx(item_poses(mirrored(item(family, number)), 9, (64, 96)), abs=1e-6)


def test_a_camera_at_rest_has_no_pose_but_the_mark_that_it_is_known():
    poses = item_poses(item("single", 0), 5, (64, 64))
    assert np.abs(poses[:, :-1]).max() < 1e-9
    assert (poses[:, -1] == 1).all()


def test_a_pan_turns_about_the_vertical_axis_and_goes_nowhere():
    number = next(n for n in range(50) if draw("camera_pan", n, 0)[0].to_json().get("to") == "right")
    poses = item_poses(item("camera_pan", number), 17, (64, 64))
    turned, moved = poses[:, :3], poses[:, 3:6]
    assert np.abs(moved).max() < 1e-6
    # A turn to the right moves the scene's points to the left in the camera's axes (x right, y down): a negative angle about y.
    assert turned[-1, 1] < -0.1
    assert np.abs(turned[-1, 2]) < np.abs(turned[-1, 1])
