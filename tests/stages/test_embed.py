"""Vectors mean something: the packaged weights know pictures and sentences."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from pipeline.build.worker import CorpusWorkspace
from schemas.clusters import EMBEDDINGS
from stages.cluster.fit import matrix
from stages.embed import EmbedConfig
from stages.embed.encoders import load_encoders
from stages.embed.stage import Proxy, _shown
from stages.models.image import SIDE
from stages.models.multilingual import MultilingualEncoder
from stages.models.quantised import FILE
from stages.work import Inputs
from tests.benchmarks.text_encoders import TASKS

ROOT = Path(__file__).parents[2]
CONFIG = EmbedConfig()
DAISY, BELL_COTE = 985, 442  # ImageNet classes


QUANTISED = "b79a3c88a5eb818ae2ea9c715a397884789172712a78ed857aff469e5d3a4470"  # of the file that make pictures writes


@pytest.fixture(scope="module")
def encoders():
    return load_encoders(None, CONFIG.image_encoder, CONFIG.text_encoder, "cpu")


@pytest.fixture(scope="module")
def floats():
    return load_encoders(None, "efficientnet-lite0-float", CONFIG.text_encoder, "cpu").image


def test_the_quantised_network_is_the_one_that_was_measured():
    data = (ROOT / "stages" / "models" / FILE).read_bytes()
    assert hashlib.sha256(data).hexdigest() == QUANTISED


def test_quantised_vectors_point_where_those_in_floats_do(encoders, floats):
    china, flower = load_sample_images().images
    pictures = [china, flower, china[100:400, 100:400], flower[:200, :200], np.full((96, 128, 3), 90, np.uint8)]
    both = (encoders.image.encode(pictures) * floats.encode(pictures)).sum(axis=1)
    assert both.min() > 0.88  # 0.90 for a petal from near by, 0.97 to 0.99 for the others


def test_a_picture_gives_the_same_bytes_alone_in_company_and_in_another_process(encoders):
    pictures = list(np.random.default_rng(3).integers(0, 256, (5, SIDE, SIDE, 3), dtype=np.uint8))
    together = encoders.image.encode(pictures)
    assert all((encoders.image.encode([p])[0] == v).all() for p, v in zip(pictures, together, strict=True))
    assert (encoders.image.encode(pictures[::-1]) == together[::-1]).all()
    code = (
        "import hashlib, numpy as np\n"
        "from stages.models.quantised import QuantisedEncoder\n"
        f"p = np.random.default_rng(3).integers(0, 256, (5, {SIDE}, {SIDE}, 3), dtype=np.uint8)\n"
        "print(hashlib.sha256(QuantisedEncoder().encode(list(p[2:])).tobytes()).hexdigest())\n"
        "import sys; assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == hashlib.sha256(together[2:].tobytes()).hexdigest()


def test_the_image_network_and_its_weights_belong_together(floats):
    china, flower = load_sample_images().images  # a temple and a flower
    assert int(np.argmax(floats.classify(china))) == BELL_COTE
    assert int(np.argmax(floats.classify(flower[:, 107:534]))) == DAISY  # its middle


def test_a_picture_is_nearer_to_itself_darkened_than_to_another(encoders):
    china, flower = load_sample_images().images
    a, b, c = encoders.image.encode([china, (china * 0.8).astype(np.uint8), flower])
    assert np.linalg.norm(a) == pytest.approx(1.0, abs=1e-5)
    assert a @ b > 0.8 > a @ c


def test_sentences_of_one_meaning_lie_together(encoders):
    a, b, c = encoders.text.encode(["The arm reaches forward.", "The arm reaches ahead.", "A recipe for apple pie."])
    assert a @ b > 0.9
    assert a @ c < 0.3


@pytest.mark.parametrize(
    ("span", "number", "frames"),
    [
        ((0, 40), 1, [20]),  # the middle is a keyframe
        ((0, 34), 1, [20]),  # the middle is 17: the keyframe at 20 lies inside
        ((11, 19), 1, [15]),  # no keyframe inside
        ((4, 8), 1, [6]),
        ((0, 40), 2, [10, 30]),
        ((0, 20), 4, [0, 7, 10, 17]),  # a keyframe within half a part, 2.5 frames; no frame twice
        ((4, 8), 3, [4, 6, 7]),
        ((4, 6), 3, [4, 5]),  # no more pictures than frames
        ((7, 8), 3, [7]),
    ],
)
def test_an_event_is_shown_by_a_keyframe_near_its_middle(span, number, frames):
    proxy = Proxy("p.mp4", 10, list(range(50)))
    assert _shown({"start_frame": span[0], "end_frame": span[1]}, proxy, number) == frames


def test_models_stay_in_their_worker(tmp_path):
    """Two units of one process share what the first one has set up; another device is another set-up."""
    made = []

    def make(*about):
        made.append(about)
        return object()

    first, second = (CorpusWorkspace(str(tmp_path), Inputs()) for _ in range(2))
    assert first.kept(make, "cpu") is second.kept(make, "cpu")
    assert first.kept(make, "cuda") is not second.kept(make, "cpu")
    assert made == [("cpu",), ("cuda",)]


def test_models_import_neither_ray_nor_codecs_nor_tables():
    """They run where numpy, torch and transformers are and nothing else is: make gpu-check."""
    code = (
        "import sys\n"
        "from stages.models import image, quantised, text\n"
        "import numpy as np, torch\n"
        "print(image.ImageEncoder().encode([np.zeros((224, 224, 3), np.uint8)]).shape)\n"
        "print(tuple(text.TextEncoder().pooled({'input_ids': torch.ones(1, 4, dtype=torch.int64)}).shape))\n"
        "others = {'ray', 'av', 'polars', 'faiss', 'webdataset', 'decord', 'onnxruntime', 'schemas', 'pipeline'}\n"
        "print(others & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout.splitlines() == ["(1, 1280)", "(1, 384)", "set()"], done.stderr


def test_half_floats_at_rest_come_back_as_floats_for_a_clustering():
    vectors = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float16)
    rows = [
        {
            "event_id": f"s/000000/L1/{i:07d}",
            "episode_id": "s/000000",
            "vl": v,
            "action": v,
            "layout": "",
            "encoder": "",
        }
        for i, v in enumerate(vectors)
    ]
    found = matrix(EMBEDDINGS.build(rows)["action"])
    assert found.dtype == np.float32
    assert (found == vectors.astype(np.float32)).all()


def test_no_input_gives_no_vectors(encoders):
    assert encoders.image.encode([]).shape == (0, 1280)
    assert encoders.text.encode([]).shape == (0, 512)


def test_a_text_vector_depends_on_its_sentence_alone(encoders):
    together = encoders.text.encode(["pick up the red cup", "open the drawer", "pick up the red cup"])
    assert together.shape == (3, 512)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert (together[0] == together[2]).all()
    assert (together[1] == MultilingualEncoder().encode(["open the drawer"])[0]).all()


@pytest.mark.parametrize(
    ("language", "least"), [("Chinese", 0.55), ("Korean", 0.5), ("Japanese", 0.55), ("German", 0.55), ("Spanish", 0.55)]
)
def test_the_same_task_is_near_in_any_language_and_unlike_tasks_are_not(encoders, language, least):
    english, own = encoders.text.encode(TASKS["English"]), encoders.text.encode(TASKS[language])
    assert (np.argmax(own @ english.T, axis=1) == np.arange(len(own))).all()
    assert np.diag(own @ english.T).mean() > least
    unlike = (own @ own.T)[~np.eye(len(own), dtype=bool)]
    assert unlike.max() < 0.8  # where all is [UNK] it is 0.995
