"""The shipped Fast DDS profile, and the variable that makes Fast DDS read one."""

import os

from mesh_perception.resources import config_directory

LARGE_IMAGES = config_directory() / 'fastdds_large_images.xml'
# ROS 2 distributions whose Fast DDS knows the variable by its old name alone; later ones complain of that.
_OLD = ('foxy', 'galactic', 'humble', 'iron', 'jazzy')


def profile_variable():
    """The environment variable's name in this distribution (the wheels, which name none, are Kilted's)."""
    old = os.environ.get('ROS_DISTRO') in _OLD
    return 'FASTRTPS_DEFAULT_PROFILES_FILE' if old else 'FASTDDS_DEFAULT_PROFILES_FILE'
