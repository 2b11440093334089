"""YOLOv4 as Darknet's configuration text, written down without looking at our network: the tests' other side."""

ANCHORS = '12,16, 19,36, 40,28, 36,75, 76,55, 72,146, 142,110, 192,243, 459,401'


class Writer:
    """Collects sections; each method returns the number of the layer that it adds."""

    def __init__(self):
        self.lines = ['[net]', 'width=608', 'height=608', 'channels=3']
        self.last = -1

    def add(self, kind, **options):
        self.lines += [f'[{kind}]', *(f'{name}={value}' for name, value in options.items())]
        self.last += 1
        return self.last

    def conv(self, filters, size, activation='leaky', stride=1, normalised=True):
        normalise = {'batch_normalize': 1} if normalised else {}
        return self.add(
            'convolutional', **normalise, filters=filters, size=size, stride=stride, pad=1, activation=activation
        )

    def route(self, *layers):
        return self.add('route', layers=','.join(map(str, layers)))

    def stage(self, filters, blocks):
        part = 64 if filters == 64 else filters // 2
        down = self.conv(filters, 3, 'mish', 2)
        beside = self.conv(part, 1, 'mish')
        self.route(down)
        self.conv(part, 1, 'mish')
        for _ in range(blocks):
            self.conv(32 if filters == 64 else part, 1, 'mish')
            self.conv(part, 3, 'mish')
            self.add('shortcut', **{'from': -3, 'activation': 'linear'})
        after = self.conv(part, 1, 'mish')
        self.route(after, beside)
        return self.conv(filters, 1, 'mish')

    def neck(self, *filters):
        for count in filters:
            self.conv(count, 1 if count == min(filters) else 3)
        return self.last

    def head(self, level, scale):
        self.conv((256, 512, 1024)[level], 3)
        raw = self.conv(255, 1, 'linear', normalised=False)
        mask = f'{3 * level},{3 * level + 1},{3 * level + 2}'
        self.add('yolo', mask=mask, anchors=ANCHORS, classes=80, num=9, scale_x_y=scale, thresh=0.001)
        return raw


def yolov4_config():
    """(text, numbers of the layers whose raw output the three heads decode)"""
    net = Writer()
    net.conv(32, 3, 'mish')
    net.stage(64, 1)
    net.stage(128, 2)
    c8 = net.stage(256, 8)
    c16 = net.stage(512, 8)
    net.stage(1024, 4)
    pooled = net.neck(512, 1024, 512)
    p5 = net.add('maxpool', size=5, stride=1)
    net.route(pooled)
    p9 = net.add('maxpool', size=9, stride=1)
    net.route(pooled)
    p13 = net.add('maxpool', size=13, stride=1)
    net.route(p13, p9, p5, pooled)
    n32 = net.neck(512, 1024, 512)
    net.conv(256, 1)
    up = net.add('upsample', stride=2)
    net.route(c16)
    net.route(net.conv(256, 1), up)
    n16 = net.neck(256, 512, 256, 512, 256)
    net.conv(128, 1)
    up = net.add('upsample', stride=2)
    net.route(c8)
    net.route(net.conv(128, 1), up)
    n8 = net.neck(128, 256, 128, 256, 128)
    heads = [net.head(0, 1.2)]
    net.route(n8)
    net.route(net.conv(256, 3, stride=2), n16)
    n16 = net.neck(256, 512, 256, 512, 256)
    heads.append(net.head(1, 1.1))
    net.route(n16)
    net.route(net.conv(512, 3, stride=2), n32)
    net.neck(512, 1024, 512, 1024, 512)
    heads.append(net.head(2, 1.05))
    assert (c8, c16, *heads, net.last) == (54, 85, 138, 149, 160, 161)  # as in the published configuration
    return '\n'.join(net.lines) + '\n', heads
