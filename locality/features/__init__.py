"""What sets of images are compared by: Inception, a classifier of the dataset's own labels, or raw pixels."""

from locality.features.classifier import FOLDER, find_classifier, load_classifier, read_classifier
from locality.features.classifier_training import ClassifierPlan, train_classifier
from locality.features.inception import INCEPTION, INCEPTION_FILE, inception_features
from locality.features.pixels import PixelFeatures
from locality.features.spec import Features, as_8bit

__all__ = [
    "FOLDER",
    "INCEPTION",
    "INCEPTION_FILE",
    "ClassifierPlan",
    "Features",
    "PixelFeatures",
    "as_8bit",
    "find_classifier",
    "inception_features",
    "load_classifier",
    "read_classifier",
    "train_classifier",
]
