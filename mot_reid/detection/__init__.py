"""Where are the people? A detector is any callable `image -> Detections`; these are the ones that come along."""
