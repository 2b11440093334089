"""Every parameter of the node in one table: name, default, meaning, limits, and when it is read.

`tools/write_parameters.py` writes config/mesh_perception.yaml and docs/parameters.md from it.
"""

from dataclasses import dataclass

from mesh_perception.joints import SMPL_JOINTS

# When a parameter is read, and so when it may be set.
START = 'start'  # as the node is constructed: by launch file, parameter file or -p alone
CONFIGURE = 'configure'  # at the configure transition: may be set while the node is unconfigured
LIVE = 'live'  # for every image: may be set at any time


@dataclass(frozen=True)
class Entry:
    """One parameter. Its type is that of its default."""

    name: str
    default: object
    when: str  # START, CONFIGURE or LIVE
    description: str
    choices: tuple = ()
    limits: tuple = ()  # both ends belong to it

    @property
    def takes_bool(self):
        """Whether YAML reads some of the texts as true and false: these are taken, too."""
        return 'true' in self.choices


# heading -> the parameters below it, in the order of the shipped file
SECTIONS = {
    'The method': (
        Entry('models', 'embedded', CONFIGURE, 'Model set: a name (config/models/<name>.yaml) or a YAML file.'),
        Entry(
            'body',
            '',
            CONFIGURE,
            "Body model: 'open', or the path of an SMPL .pkl or .npz file; empty: the model set's own.",
        ),
        Entry(
            'overrides',
            [''],
            CONFIGURE,
            "Changes to the model set, each 'KEY=VALUE', such as 'skeleton.network=blazepose_full'.",
        ),
        Entry(
            'device',
            'auto',
            CONFIGURE,
            'Where the networks run: auto (the GPU where there is one), cpu, cuda or cuda:N.',
        ),
        Entry('max_people', 20, CONFIGURE, 'People followed at most.', limits=(1, 20)),
        Entry('smoothing', True, LIVE, 'Smooth poses, places and shapes over time, where the model set does.'),
    ),
    'Input': (
        Entry(
            'image_transport',
            'raw',
            CONFIGURE,
            'raw: sensor_msgs/Image on image; compressed: sensor_msgs/CompressedImage on image/compressed.',
            choices=('raw', 'compressed'),
        ),
        Entry(
            'image_reliability',
            'best_effort',
            CONFIGURE,
            'QoS of image and camera_info: best_effort fits every publisher; reliable asks for lost images again, and '
            'needs a reliable publisher.',
            choices=('best_effort', 'reliable'),
        ),
        Entry(
            'image_is_rectified',
            'auto',
            CONFIGURE,
            "Whether the images are rectified (then camera_info's P applies, without distortion); auto: by the topic's "
            'name (image_rect, rect, rectified).',
            choices=('auto', 'true', 'false'),
        ),
    ),
    'Output; each is computed only while somebody listens': (
        Entry('publish_markers', True, LIVE, 'Meshes as visualization_msgs/MarkerArray on ~/markers.'),
        Entry(
            'marker_mesh',
            'light',
            LIVE,
            'Faces of the markers: light (about 3000 triangles a person) or full.',
            choices=('light', 'full'),
        ),
        Entry(
            'marker_lifetime',
            1.0,
            CONFIGURE,
            'Seconds after which a viewer drops a marker that was not renewed.',
            limits=(0.1, 60.0),
        ),
        Entry('publish_overlay', True, LIVE, 'The image with the meshes drawn over it on ~/overlay.'),
        Entry(
            'publish_vertices',
            False,
            LIVE,
            'Fill SmplPerson.vertices on ~/people (about 160 kB a person for the open body).',
        ),
        Entry('publish_tf', True, LIVE, 'One frame a joint on /tf.'),
        Entry('tf_prefix', 'smpl_', CONFIGURE, "TF frames are named <tf_prefix><person's id>_<joint>."),
        Entry(
            'tf_joints',
            list(SMPL_JOINTS),
            CONFIGURE,
            "Joints with a TF frame; the parent is the nearest ancestor among them, or the camera's frame.",
        ),
        Entry(
            'max_tf_people', 10, LIVE, 'People with TF frames at most, the nearest of those confirmed.', limits=(0, 20)
        ),
        Entry(
            'target_frame',
            '',
            CONFIGURE,
            'A fixed frame, such as map: people in it on ~/people_fixed, where TF has it; empty: off.',
        ),
        Entry(
            'publish_humans',
            False,
            CONFIGURE,
            'REP-155 (ROS4HRI): /humans/bodies and body_<id> frames; needs hri_msgs.',
        ),
    ),
    'The node': (
        Entry(
            'max_age',
            0.5,
            LIVE,
            'Seconds from image stamp to publication from which diagnostics warn of old results; 0: never.',
            limits=(0.0, 3600.0),
        ),
        Entry(
            'min_rate',
            1.0,
            LIVE,
            'Answered images a second below which diagnostics warn, if images had to be dropped; 0: never.',
            limits=(0.0, 1000.0),
        ),
        Entry(
            'image_timeout',
            3.0,
            LIVE,
            'Seconds without an image after which an active node warns in diagnostics.',
            limits=(0.1, 3600.0),
        ),
        Entry('diagnostics_period', 1.0, START, 'Seconds between two messages on /diagnostics.', limits=(0.1, 60.0)),
        Entry('autostart', True, START, 'Configure and activate at the start; false: wait for lifecycle transitions.'),
    ),
}
# all, in order
PARAMETERS = tuple(entry for entries in SECTIONS.values() for entry in entries)
BY_NAME = {entry.name: entry for entry in PARAMETERS}
