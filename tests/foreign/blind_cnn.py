"""Somebody's network: a DnCNN. It is not told the noise, takes images in [0, 1] and predicts the residual."""

from torch import nn

from locality.networks import adapt

LOW, HIGH = 0.02, 1.0  # standard deviations of the noise it was trained on


class DnCNN(nn.Module):
    def __init__(self, width=32, depth=5):
        super().__init__()
        layers = [nn.Conv2d(1, width, 3, padding=1), nn.ReLU()]
        for _ in range(depth - 2):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, x):
        return self.layers(x)


def build(weights="blind.pt", **changes):
    facts = {"takes": "plain", "values": (0, 1), "gives": "residual", **changes}
    noise = {"schedule": "blind", "label": "none", "sigma_range": (LOW, HIGH)}
    return adapt(DnCNN(), shape=(1, 8, 8), weights=weights, trained_on="digits", **noise, **facts)
