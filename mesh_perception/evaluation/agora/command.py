"""`mesh-perception evaluate agora`: the paper's Table 2 on the validation set, and the file for its server."""

from pathlib import Path

HELP = "errors on AGORA (Table 2 of the paper), with your copy of the dataset and SMPL's file"


def add_arguments(parser):
    """Adds this benchmark's options."""
    parser.add_argument(
        '--data',
        type=Path,
        required=True,
        metavar='DIR',
        help="AGORA's folder: below it SMPL's validation_*_withjv.pkl and the validation images; in test/ the test's",
    )
    parser.add_argument(
        '--boxes',
        choices=('detector', 'truth'),
        default='detector',
        help='crops around whom the detector finds, as in the paper, or around true skeletons (default: detector)',
    )
    parser.add_argument(
        '--body-vertices',
        type=Path,
        metavar='FILE',
        help="AGORA's utils/body_verts_smpl.npy, the vertices of its MVE (default: all 6890, which is another figure)",
    )
    parser.add_argument(
        '--submission',
        choices=('test', 'validation'),
        nargs='?',
        const='test',
        help="instead of measuring, write the server's predictions.zip for the test images, or one for the validation "
        "images, which AGORA's own code measures",
    )


def run(arguments):
    """Measures, or writes the submission. -> Report. Raises ValueError, one line, for what is missing or misfits."""
    from mesh_perception.body import load_body
    from mesh_perception.evaluation.agora.images import body_vertices, image_files
    from mesh_perception.evaluation.agora.results import Setting, make_report, submission_report
    from mesh_perception.evaluation.agora.submission import frames_to_submit, submit
    from mesh_perception.evaluation.agora.truth import truth_files
    from mesh_perception.evaluation.agora.validation import measure_for, validate
    from mesh_perception.evaluation.cli import load
    from mesh_perception.evaluation.joint_sets import require_smpl
    from mesh_perception.parts import check_files
    from mesh_perception.pipeline import MeshPipeline

    config = load(arguments)
    check_files(config)
    body = load_body(config.body)
    if arguments.submission:
        require_smpl(body, '--submission')
        named = frames_to_submit(arguments.data, arguments.submission, arguments.boxes)
        target = arguments.out / 'predictions.zip'
        people = submit(MeshPipeline(config), named, arguments.out, arguments.boxes, target)
        return submission_report(target, arguments.submission, len(named), people, config.name, body.id)

    vertices = None
    if arguments.body_vertices is not None:
        require_smpl(body, '--body-vertices')
        vertices = body_vertices(arguments.body_vertices)
    measure = measure_for(body, vertices)
    truth = truth_files(arguments.data)
    images = image_files(arguments.data)
    pipeline = MeshPipeline(config)
    validation = validate(pipeline, truth, images, arguments.data, arguments.out, arguments.boxes, measure)
    setting = Setting(config.name, body.id, arguments.boxes, measure, vertices is not None)
    return make_report(setting, validation, pipeline)
