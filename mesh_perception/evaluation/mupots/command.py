"""`mesh-perception evaluate mupots`: the paper's Table 3, on the dataset of whoever asks."""

from pathlib import Path

HELP = 'errors on MuPoTS-3D (Table 3 of the paper), with your copy of the dataset'


def add_arguments(parser):
    """Adds this benchmark's options."""
    parser.add_argument(
        '--data', type=Path, required=True, metavar='DIR', help="MuPoTS-3D's MultiPersonTestSet, with TS1 to TS20 in it"
    )
    parser.add_argument(
        '--sequences',
        type=int,
        nargs='+',
        choices=range(1, 21),
        metavar='N',
        help='only these of the 20 (default: all, which the average of the table is of)',
    )
    parser.add_argument(
        '--boxes',
        choices=('detector', 'truth'),
        default='truth',
        help='crops around true joints, as in the paper, or around whom the detector finds (default: truth)',
    )
    parser.add_argument(
        '--intrinsics',
        type=Path,
        metavar='FILE',
        help="Moon et al.'s MuPoTS-3D.json (default: each sequence's camera is fitted to its annotation)",
    )
    parser.add_argument(
        '--regressors',
        type=Path,
        metavar='DIR',
        help="where J_regressor_h36m.npy is, to regress an SMPL body's joints (default: the joints it is posed by)",
    )


def run(arguments):
    """Evaluates. -> Report. Raises ValueError, one line, for what is missing or does not fit, before the long work."""
    from mesh_perception.body import load_body
    from mesh_perception.evaluation.cli import load
    from mesh_perception.evaluation.joint_sets import SMPL_VERTICES, load_regressor, require_smpl
    from mesh_perception.evaluation.mupots.intrinsics import calibrate, given_camera, read_intrinsics
    from mesh_perception.evaluation.mupots.joints import kinematic, regressed
    from mesh_perception.evaluation.mupots.results import Setting, make_report
    from mesh_perception.evaluation.mupots.scoring import looks, score
    from mesh_perception.evaluation.mupots.sequences import SEQUENCES, picture_path, read_sequence, sequence_folder
    from mesh_perception.media import read_picture
    from mesh_perception.parts import check_files
    from mesh_perception.pipeline import MeshPipeline

    config = load(arguments)
    check_files(config)
    body = load_body(config.body)
    mapping = kinematic(body)
    if arguments.regressors is not None:
        require_smpl(body, '--regressors')
        mapping = regressed(load_regressor(arguments.regressors / 'J_regressor_h36m.npy', 17))
    given = None if arguments.intrinsics is None else read_intrinsics(arguments.intrinsics)

    data, numbers = arguments.data, sorted(set(arguments.sequences or SEQUENCES))
    for number in numbers:
        sequence_folder(data, number)
    found, cameras = [], {}
    for number in numbers:
        frames = read_sequence(data, number)
        height, width = read_picture(picture_path(data, number, frames[0].index)).shape[:2]
        if given is None:
            cameras[number] = calibrate(frames, width, height, f'{data}/TS{number}/annot.mat')
        else:
            cameras[number] = given_camera(given, number, frames, width, height, arguments.intrinsics)
        found += looks(data, number, frames, cameras[number][0])
    pipeline = MeshPipeline(config)
    scores = score(pipeline, found, mapping, arguments.out, arguments.boxes)
    smpl = len(body.v_template) == SMPL_VERTICES
    setting = Setting(config.name, body.id, smpl, arguments.boxes, mapping.name, cameras, given is not None)
    return make_report(setting, scores, pipeline)
