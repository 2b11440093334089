"""OpenGL without a window."""

_MAX_DEVICES = 16


class RendererUnavailable(RuntimeError):
    """There is no usable EGL here."""


def create_context():
    """(moderngl, a new context) on the first EGL device that works: GPUs come before Mesa's CPU one."""
    try:
        import moderngl
    except ImportError as error:
        raise RendererUnavailable(f'moderngl is not installed: {error}') from error
    reason = None
    for index in range(_MAX_DEVICES):
        try:
            return moderngl, moderngl.create_context(standalone=True, require=330, backend='egl', device_index=index)
        except Exception as error:  # moderngl raises bare Exception
            # The first failure names the cause; later ones only say that there are no more devices.
            reason = reason or error
            if 'requested device index' in str(error):
                break
    raise RendererUnavailable(f'no EGL device for OpenGL 3.3 (Debian: libegl1 libgl1-mesa-dri): {reason}') from reason
