"""`mesh-perception evaluate 3dpw`: the paper's Table 1, on the dataset and the SMPL files of whoever asks."""

from pathlib import Path

HELP = "errors on 3DPW (Table 1 of the paper), with your copy of the dataset and SMPL's files"


def add_arguments(parser):
    """Adds this benchmark's options."""
    parser.add_argument(
        '--data',
        type=Path,
        required=True,
        metavar='DIR',
        help="3DPW's folder, with sequenceFiles/{train,validation,test} and imageFiles in it",
    )
    parser.add_argument(
        '--protocol',
        dest='measure',
        choices=('spin', 'romp', 'challenge', 'common'),
        help="spin: 14 joints about the regressed pelvis, the paper's; romp: the same about the middle of the hips; "
        "challenge: SMPL's 24 joints, PCK, AUC and angles; common: 12 joints that any body has, nobody's table "
        '(default: spin for an SMPL body, else common)',
    )
    part = parser.add_mutually_exclusive_group()
    part.add_argument(
        '--split',
        choices=('train', 'validation', 'test', 'all'),
        help='which sequences (default: test; for the challenge all)',
    )
    part.add_argument('--subset', choices=('pc', 'oc', 'crowd'), help='3DPW-PC, -OC or -Crowd, out of all splits')
    parser.add_argument(
        '--boxes',
        choices=('detector', 'truth'),
        default='truth',
        help='crops around true skeletons, as in the paper, or around whom the detector finds (default: truth)',
    )
    parser.add_argument(
        '--smpl',
        type=Path,
        metavar='DIR',
        help='SMPL_MALE and SMPL_FEMALE (romp: SMPL_NEUTRAL), .pkl or .npz, for the truth',
    )
    parser.add_argument('--regressors', type=Path, metavar='DIR', help='where J_regressor_h36m.npy is (spin, romp)')


def run(arguments):
    """Evaluates. -> Report. Raises ValueError, one line, for what is missing or does not fit, before the long work."""
    from mesh_perception.body import load_body
    from mesh_perception.evaluation.cli import load
    from mesh_perception.evaluation.joint_sets import SMPL_VERTICES, load_regressor, require_smpl
    from mesh_perception.evaluation.threedpw.protocols import PROTOCOLS
    from mesh_perception.evaluation.threedpw.results import Setting, make_report
    from mesh_perception.evaluation.threedpw.scoring import looks, score
    from mesh_perception.evaluation.threedpw.sequences import SPLITS, DatasetError, find_sequences, read_sequence
    from mesh_perception.evaluation.threedpw.subsets import in_subset
    from mesh_perception.evaluation.threedpw.truth import load_true_body
    from mesh_perception.parts import check_files
    from mesh_perception.pipeline import MeshPipeline

    config = load(arguments)
    check_files(config)
    body = load_body(config.body)
    smpl = len(body.v_template) == SMPL_VERTICES
    for option in ('smpl', 'regressors'):
        if not arguments.measure and getattr(arguments, option) is not None:
            require_smpl(body, f'--{option}')
    protocol = PROTOCOLS[arguments.measure or ('spin' if smpl else 'common')]
    if protocol.bodies:
        require_smpl(body, f'--protocol {protocol.name}')
        if arguments.smpl is None:
            raise DatasetError(f'--protocol {protocol.name}: needs the SMPL bodies of the truth; give --smpl DIR')
    bodies = {gender: load_true_body(arguments.smpl, gender) for gender in protocol.bodies}
    regressor = None
    if protocol.regressed:
        if arguments.regressors is None:
            raise DatasetError(f'--protocol {protocol.name}: needs J_regressor_h36m.npy; give --regressors DIR')
        regressor = load_regressor(arguments.regressors / 'J_regressor_h36m.npy', 17)

    everything = arguments.subset or arguments.split == 'all'
    splits = SPLITS if everything else (arguments.split,) if arguments.split else protocol.splits
    files = find_sequences(arguments.data, splits, lambda name: in_subset(arguments.subset, name))
    found = [
        look
        for split, path in files
        for look in looks(arguments.data, read_sequence(path, split), protocol, arguments.subset)
    ]
    if not found:
        raise DatasetError(
            f'{arguments.data}: nobody in {", ".join(path.name for _, path in files[:3])} ... counts; expected people '
            'with campose_valid and poses2d'
        )
    pipeline = MeshPipeline(config)
    scores = score(pipeline, found, protocol, bodies, regressor, arguments.out, arguments.boxes)
    setting = Setting(protocol, splits, arguments.subset, arguments.boxes, config.name, body.id, len(files), smpl)
    return make_report(setting, scores, pipeline)
