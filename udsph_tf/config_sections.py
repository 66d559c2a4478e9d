"""The sections of a configuration: what can be set, with its default and its meaning."""

from dataclasses import dataclass, field

from udsph_tf.codes import check_num_bits

__all__ = [
    "LEVELS_KEYS",
    "PRECISIONS",
    "DataConfig",
    "ImageConfig",
    "LossConfig",
    "NetworkConfig",
    "TextConfig",
    "TrainingConfig",
]

DATASETS = (
    "coco2014",
    "coco2017",
    "dcmh",
    "fashion",
    "fashion-attributes",
    "flickr30k",
    "flickr8k",
    "manifest",
    "mirflickr25k",
    "mirflickr25k-38",
    "mirflickr724",
    "nuswide-tc10",
    "nuswide-tc21",
    "openmoji",
    "wikipedia",
)
CAPTIONS = ("all", "each", "first")
SPLIT_NUMBERS = ("ids", "rows_from_0", "rows_from_1")
IMAGE_BODIES = (
    "cnn_f",
    "efficientnet_lite0",
    "keras_applications",
    "keras_hub",
    "small_cnn",
    "vector",
)
TEXT_BODIES = (
    "bag_of_words",
    "doc2vec",
    "keras_hub",
    "minilm",
    "vector",
    "word2vec",
    "wordpiece",
)
IMAGE_POOLINGS = ("last", "stages")
VECTOR_FORMS = ("hellinger", "plain")
SIMILARITY_FORMS = ("levels", "likelihood")
OVERLAPS = ("dice", "jaccard")
LEVELS_KEYS = ("overlap", "overlap_power")
"""Keys of the loss that the similarity form `levels` reads and the likelihood does not."""
ADVERSARIAL_ON = ("features", "hash")
LOCAL_FORMS = ("hinge", "likelihood")
CRITERIA = ("map", "ndcg")
SCHEDULES = ("constant", "cosine", "linear")
OPTIMIZERS = ("adam", "adamw")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
FINETUNE = ("none", "image", "text", "both")


@dataclass(frozen=True)
class DataConfig:
    """Which pairs, and how they are divided."""

    dataset: str = field(default="openmoji", metadata={"choices": DATASETS})
    """Name of the data set (`docs/data.md`)."""
    root: str = ""
    """Folder of the data set; unused by `openmoji`, which comes out of installed packages."""
    seed: int = 0
    """Seed of the split."""
    num_query: int = 0
    """Query items; 0 takes a tenth of all items, at most 2,000, or those the data set fixes."""
    num_validation: int = 0
    """Validation items; 0 takes a tenth of all items, at most 2,000. With -1 none is held back:
    for a last run after choosing, which keeps its last epoch."""
    num_train: int = 0
    """Training items, drawn from the database; 0 takes the whole database."""
    unseen_kinds: int = 0
    """Kinds (values of articleType) left out of training, to be searched for all the same."""
    captions: str = field(default="all", metadata={"choices": CAPTIONS})
    """Text of an item with several sentences: `all` joined, the `first`, or `each` on its own, in
    training and as a query."""
    labels: str = ""
    """CSV file with the columns id and labels, for `flickr8k` and `flickr30k`, which have none."""
    untagged: str = field(default="keep", metadata={"choices": ("keep", "skip")})
    """What becomes of an item of `nuswide-*` and `dcmh` that has none of the tags: the literature's
    counts keep it, with an empty text."""
    split: str = ""
    """File or folder with a published split, in the place of a draw (`docs/data.md`)."""
    split_numbers: str = field(default="ids", metadata={"choices": SPLIT_NUMBERS})
    """What the numbers of that split are: ids, or rows counted from 0 (Python) or 1 (MATLAB)."""
    bad_items: str = field(default="skip", metadata={"choices": ("skip", "error")})
    """What an unreadable image, an empty text or an item without label does."""


@dataclass(frozen=True)
class ImageConfig:
    """The image body."""

    body: str = field(default="small_cnn", metadata={"choices": IMAGE_BODIES})
    """The network below the image hasher (`docs/bodies.md`)."""
    size: int = 64
    """Height and width in pixels that every picture is resized to."""
    preset: str = ""
    """Which network: of `keras_applications` its name, of `keras_hub` a preset or its folder."""
    weights: str = ""
    """Empty: the body's pretrained weights; `random`; or a file, for `cnn_f` (a MatConvNet file)
    and `keras_applications`."""
    pooling: str = field(default="last", metadata={"choices": IMAGE_POOLINGS})
    """What the body's pooled vector is made of: its `last` layer, or all its `stages` (Lite0)."""
    trainable: bool = True
    """Train the body too; a frozen body's outputs are computed once and cached."""
    augment: bool = True
    """Random flips, shifts, turns and zooms in training; needs a trainable body."""
    vector_form: str = field(default="plain", metadata={"choices": VECTOR_FORMS})
    """What the body `vector`, which has nothing to train, does before it standardises: nothing, or
    square roots of shares (`hellinger`, for counts)."""
    vector_noise: float = 0.0
    """Deviation of the noise that `vector` adds in training, in [0, 1]; 1 is the vectors' own."""


@dataclass(frozen=True)
class TextConfig:
    """The text body."""

    body: str = field(default="wordpiece", metadata={"choices": TEXT_BODIES})
    """The network below the text hasher (`docs/bodies.md`)."""
    preset: str = ""
    """For `keras_hub`: a preset's name or its folder."""
    weights: str = ""
    """Empty: the preset's own; or `random`; for `keras_hub`."""
    vectors: str = ""
    """For `word2vec`: a file of word vectors (GloVe, word2vec, `.kv`). Empty trains them on the
    training texts."""
    vector_epochs: int = 20
    """Passes of word2vec and doc2vec over the training texts; also doc2vec's steps a text."""
    vocabulary_size: int = 8000
    """Most word pieces, or words, that are learnt from the training texts."""
    max_tokens: int = 24
    """Word pieces of a text that are read; the rest is cut off."""
    embedding_dim: int = 256
    """Length of a word's vector."""
    bag_dim: int = 1024
    """Width of the dense layer over a bag of words."""
    trainable: bool = True
    """As in `image`."""
    word_dropout: float = 0.0
    """Share of word pieces hidden from the text hasher in training, in [0, 1)."""
    whole_words: bool = False
    """Keep every training word as one piece, for words whose spelling says nothing; `wordpiece`."""
    vector_form: str = field(default="plain", metadata={"choices": VECTOR_FORMS})
    """As in `image`."""
    vector_noise: float = 0.0
    """As in `image`."""


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of the two hashers; the label net has their bits and features."""

    num_bits: int = 64
    """K, bits of a code: a positive multiple of 8."""
    hidden_dim: int = 512
    """Width of the layer over a body's pooled vector."""
    feature_dim: int = 512
    """Length of the high-level features, of images, texts and label sets."""
    local_dim: int = 128
    """Length of the region and word embeddings that attention compares."""
    dropout: float = 0.4
    """Share of the hidden layer that a training step leaves out, in [0, 1)."""


@dataclass(frozen=True)
class LossConfig:
    """Weight of every term; 0 switches a term off."""

    feature_similarity: float = 0.0
    """Semantic preserving, features against the label net's. Off, as are `quantization` and
    `bit_balance`: thousands of training items do without, a small set may gain (see
    `docs/method.md`)."""
    code_similarity: float = 5.0
    """Semantic preserving, codes against the label net's."""
    cross_similarity: float = 5.0
    """Codes of the two modalities against each other; in the stage `refine` with the weight of
    `code_similarity` added, since codes answer to no label net there."""
    classification: float = 1.0
    """Label prediction."""
    quantization: float = 0.0
    """Distance of relaxed hashes to the shared binary codes."""
    bit_balance: float = 0.0
    """Every bit +1 for half of the items."""
    adversarial: float = 0.0
    """Look like the label net's features to a discriminator. Off: none of nine forms of it has paid
    (`docs/method.md`)."""
    local: float = 0.0
    """Cross-modal attention over regions and words. Off: it costs time and has not paid yet;
    0.2 trains the attention that `udsph attend` draws."""
    similarity_form: str = field(default="levels", metadata={"choices": SIMILARITY_FORMS})
    """`likelihood` of sharing a label, or regression to graded `levels` of shared labels."""
    overlap: str = field(default="dice", metadata={"choices": OVERLAPS})
    """Target of a pair in the form `levels`: how far its two label sets overlap."""
    overlap_power: float = 1.0
    """Power of that target, at least 1: the larger, the further apart items that share little."""
    balance_pairs: bool = True
    """Give every level of similarity the same total weight."""
    local_form: str = field(default="hinge", metadata={"choices": LOCAL_FORMS})
    """The local term: hinge with the hardest negatives, or likelihood of sharing a label."""
    local_items: int = 32
    """Items of a batch between which the local term compares every pair."""
    gradient_penalty: float = 1.0
    """Weight of the discriminators' gradient penalty."""
    adversarial_on: str = field(default="features", metadata={"choices": ADVERSARIAL_ON})
    """What the discriminators look at."""
    adversarial_labels: bool = False
    """Show the discriminators the labels too."""
    adversarial_noise: float = 0.0
    """Length of the noise on what they see, where a sample has length 1."""
    adversarial_spectral_norm: bool = False
    """Divide the discriminators' kernels by their largest singular values."""
    adversarial_warmup: int = 0
    """Steps of the joint stage over which the adversarial weight rises to its whole."""
    adversarial_decay: int = 0
    """Steps after that over which it falls to 0; 0 keeps it."""
    instance: float = 0.6
    """An item's own counterpart is nearer than the other items of its batch."""
    instance_temperature: float = 0.1
    """T, for codes of `instance_bits` bits and more."""
    instance_bits: int = 64
    """Fewer bits cannot tell items apart: there T rises to `instance_bits` T / K. With 0 it is the
    same at every length."""
    nested: str = ""
    """Code lengths such as `16,32,64,128`: the first so many bits are good codes by themselves.
    The last must be `network.num_bits`; empty trains that length alone."""

    def nested_lengths(self) -> tuple[int, ...]:
        """`nested` as numbers; empty where it is.

        Raises:
            ValueError: a length is not a positive multiple of 8, or they do not grow.
        """
        try:
            lengths = tuple(check_num_bits(int(each)) for each in self.nested.split(",") if each)
        except ValueError as error:
            raise ValueError(
                "`loss.nested` must be code lengths such as 16,32,64: multiples of 8. "
                f"Received: {self.nested!r}"
            ) from error
        if list(lengths) != sorted(set(lengths)):
            raise ValueError(f"`loss.nested` must grow. Received: {self.nested!r}")
        return lengths


@dataclass(frozen=True)
class TrainingConfig:
    """How long, how fast, and from which seed."""

    seed: int = 0
    """Of weights, order, dropout and augmentation."""
    batch_size: int = 0
    """Pairs of a step; 0 makes about forty steps an epoch, of 64 to 256 pairs."""
    learning_rate: float = 1e-3
    """Where the schedule begins, after the warm-up."""
    discriminator_rate: float = 1.0
    """Learning rate of the discriminators as a multiple of `learning_rate`."""
    label_epochs: int = 30
    """Stage `label`: passes of 16 steps of the label net over the semantic anchors."""
    separate_epochs: int = 5
    """Stage `separate`: the two hashers, without adversary and attention."""
    joint_epochs: int = 35
    """Stage `joint`: every term that has a weight."""
    refine_epochs: int = 15
    """Stage `refine`: the hash heads alone, on networks that stay as they are."""
    refine_learning_rate: float = 3e-3
    """Where this stage's own schedule begins."""
    refine_mixup: float = 0.0
    """a of Beta(a, a): heads learn from mixtures of two items, in shares drawn from it, so that
    items of kinds that training has not seen are found better. 0 mixes nothing."""
    criterion: str = field(default="map", metadata={"choices": CRITERIA})
    """What the best epoch is best in, on validation items, mean of both directions: MAP, or
    NDCG@100 with gain 2^shared labels - 1, which also asks how many labels are shared."""
    max_anchors: int = 2048
    """Most label sets kept as semantic anchors; above it they are sampled by frequency."""
    validation_database: int = 5000
    """Most database items that validation items are searched in after each epoch."""
    schedule: str = field(default="cosine", metadata={"choices": SCHEDULES})
    """Course of the learning rate over both hasher stages: down to 0 by a cosine or in a line, or
    constant."""
    warmup_epochs: int = 0
    """Epochs in which the rate of hashers and discriminators rises from 0 to `learning_rate`."""
    optimizer: str = field(default="adam", metadata={"choices": OPTIMIZERS})
    """Of every group of variables; `adamw` wants a `weight_decay`."""
    weight_decay: float = 0.0
    """Decoupled weight decay; for `adamw`, and for it alone."""
    gradient_clip: float = 5.0
    """Longest gradient of a group of variables (global norm); 0 leaves gradients as they are."""
    early_stopping: int = 0
    """Epochs without a better validation score after which a run ends; 0 never ends it early."""
    precision: str = field(default="float32", metadata={"choices": PRECISIONS})
    """What the hashers compute in within training steps; everything saved is float32."""
    finetune: str = field(default="none", metadata={"choices": FINETUNE})
    """Frozen bodies that go on learning, with both hashers, after the joint stage."""
    finetune_epochs: int = 3
    """Epochs of that."""
    finetune_learning_rate: float = 1e-4
    """Where its own schedule begins."""
    finetune_from: str = "block5a"
    """The first block of the image body that learns; what is below it is computed once and cached.
    Empty: the whole body, from pixels, with `image.augment`."""
