"""People in natural clips: body keypoints, hands, and which hand moves, by BlazePose, MediaPipe Hands and BlazeFace."""
