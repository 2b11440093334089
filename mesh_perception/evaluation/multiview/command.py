"""`mesh-perception evaluate multiview`: real people against what three other calibrated cameras make of them."""

HELP = 'errors on real footage, against what the three other cameras of four show'
SCENES = ('two_person', 'single_person')
CAMERAS = ('cam01', 'cam02', 'cam03', 'cam04')


def add_arguments(parser):
    """The protocol's own options."""
    parser.add_argument('--scene', choices=SCENES, help='only this one (default: both)')
    parser.add_argument(
        '--cameras',
        nargs='+',
        choices=CAMERAS,
        default=CAMERAS,
        metavar='CAMERA',
        help='only these (default: all four)',
    )


def run(arguments):
    """-> Report. What was computed is kept under --out and not computed again."""
    from mesh_perception.evaluation.cli import load
    from mesh_perception.evaluation.multiview.scene import make_pipelines, measure
    from mesh_perception.evaluation.multiview.story import tell

    config = load(arguments)
    pipeline, baseline = make_pipelines(config)
    scenes = [arguments.scene] if arguments.scene else SCENES
    cameras = sorted(set(arguments.cameras))
    results = [measure(scene, cameras, pipeline, baseline, arguments.out) for scene in scenes]
    return tell(results, pipeline, config.name, baseline is not None)
