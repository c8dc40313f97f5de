"""Topics in files: every form gives the same lists, and what is none is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mtmbench.core.errors import InputError
from mtmbench.core.word_lists import read_word_lists

TOPICS = [["cow", "barn", "milk"], ["boat", "sail"]]
WEIGHTS = [[("cow", 0.5), ("barn", 0.3), ("milk", 0.2)], [("boat", 0.75), ("sail", 2.5e-1)]]

JSON: dict[str, Any] = {
    "lists": TOPICS,
    "under topics": {"topics": TOPICS, "seed": 0},
    "OCTIS": {"topics": TOPICS, "topic-word-matrix": [[0.1]], "topic-document-matrix": [[1]]},
    "pairs": WEIGHTS,
    "pairs under topics": {"topics": WEIGHTS},
    "pairs out of order": [pairs[::-1] for pairs in WEIGHTS],
    "weight first": [[(w, x) for x, w in pairs] for pairs in WEIGHTS],
    "objects": [dict(pairs) for pairs in WEIGHTS],
    "numbers": {"1": TOPICS[1], "-1": ["outlier"], "0": WEIGHTS[0]},
    "named numbers": {"topic_1": TOPICS[1], "topic_0": TOPICS[0]},
    "BERTopic": {"topics": [0, 1, -1], "topic_representations": {
        "-1": [["the", 0.1]], "0": WEIGHTS[0], "1": WEIGHTS[1]}},
    "gensim's show_topics": [[0, WEIGHTS[0]], [1, WEIGHTS[1]]],
    "gensim's print_topics": [
        [0, '0.500*"cow" + 0.300*"barn" + 0.200*"milk"'], [1, '0.750*"boat" + 0.250*"sail"']],
    "records": [{"topic": 0, "words": TOPICS[0]}, {"topic": 1, "words": WEIGHTS[1]}],
    "mtmbench topics": {"schema": 1, "topics": [
        {"topic": k, "label": "x", "status": "ok", "items": topic} for k, topic in enumerate(TOPICS)
    ]},
    "outliers in pairs": [[-1, [["the", 0.1]]], [0, WEIGHTS[0]], [1, WEIGHTS[1]]],
    "BERTopic's topic information": [
        {"Topic": k, "Count": 5, "Name": "x", "Representation": topic}
        for k, topic in ((-1, ["the"]), *enumerate(TOPICS))],
    "gensim's top_topics": [[[[x, w] for w, x in pairs], -1.5] for pairs in WEIGHTS],
    "outliers in words": {"Topic -1": ["the"], "Topic 0": TOPICS[0], "Topic 1": TOPICS[1]},
}  # fmt: skip

LINES = {
    "spaces": "cow barn milk\nboat sail\n",
    "commas": "cow, barn, milk\nboat,sail\n",
    "tabs": "cow\tbarn\tmilk\r\nboat\tsail\r\n",
    "quoted": '"cow","barn","milk"\n"boat","sail"',
    "headed": "Topic 0: cow barn milk\nTopic 1: boat sail\n",
    "numbered": "0: cow, barn, milk\n\n1: boat, sail\n",
    "counted": "1 cow barn milk\n2 boat sail\n",
    "number and tab": "0\tcow barn milk\n1\tboat sail\n",
    "gensim": '(0, 0.500*"cow" + 0.300*"barn" + 0.200*"milk")\n0.750*"boat" + 0.250*"sail"\n',
    "JSON lines": '["cow", "barn", "milk"]\n["boat", "sail"]\n',
    "MALLET's keys": "0\t2.5\tcow barn milk \n1\t0.05\tboat sail \n",
    "MALLET's weights": (
        "0\tcow\t9.01\n0\tbarn\t4.01\n0\tmilk\t2.01\n0\tboat\t0.01\n0\tsail\t0.01\n"
        "1\tcow\t0.01\n1\tbarn\t0.01\n1\tmilk\t0.01\n1\tboat\t8.01\n1\tsail\t3.01\n"
    ),
    "MALLET's keys with decimal commas": "0\t2,5\tcow barn milk\n1\t0,05\tboat sail\n",
    "gensim's older form": "0.500*cow + 0.300*barn + 0.200*milk\n0.750*boat + 0.250*sail\n",
    "exponents": '1.5e-05*"milk" + 2.5e+00*"cow" + 1.0*"barn"\n7E-1*"boat" + 1e-05*"sail"\n',
    "headed otherwise": "topic_0: cow barn milk\nTopic-1: boat sail\n",
    "bracketed numbers": "0) cow barn milk\n1) boat sail\n",
    "outliers": "-1: the of\n0: cow barn milk\n1: boat sail\n",
    "outliers in words": "Topic -1: the of\nTopic 0: cow barn milk\nTopic 1: boat sail\n",
    "under headings": "Topic #0:\ncow barn milk\n\nTopic #1:\nboat sail\n",
    "a word a line": "Topic -1:\nthe\nTopic 0:\ncow\nbarn\nmilk\n\nTopic 1:\nboat\nsail\n",
    "bars": "cow | barn | milk\nboat | sail\n",
    "weights after colons": "barn:0.3 cow:0.5 milk:0.2\nboat:0.75 sail:0.25\n",
    "weights in brackets": "cow (0.5), barn (0.3), milk (0.2)\nboat (0.75), sail (0.25)\n",
    "Python": "[['cow', 'barn', 'milk'], ['boat', 'sail']]\n",
    "Python's lines": "['cow', 'barn', 'milk']\n['boat', 'sail']\n",
    "Python's get_topics": "{-1: [('the', 0.1)], 0: [('cow', 0.5), ('barn', 0.3), ('milk', 0.2)], "
    "1: [('boat', 0.75), ('sail', 0.25)]}",
    "BERTopic's get_topic_info": (
        "Topic,Count,Name,Representation,Representative_Docs\n"
        "-1,9,-1_the_of,\"['the', 'of']\",\"['a\nb']\"\n"
        "0,5,0_cow,\"['cow', 'barn', 'milk']\",\"['x']\"\n"
        "1,3,1_boat,\"['boat', 'sail']\",\"['y']\"\n"
    ),
    "a topic a column": "Topic 0,Topic 1\ncow,boat\nbarn,sail\nmilk,\n",
    "a topic a column, indexed": ",Topic 0,Topic 1\n0,cow,boat\n1,barn,sail\n2,milk,\n",
    "lists alone": "topic_words\n\"['cow', 'barn', 'milk']\"\n\"['boat', 'sail']\"\n",
    "words alone": "words\ncow barn milk\nboat sail\n",
    "bullets": "- cow, barn, milk\n- boat, sail\n",
    "Markdown": "* **Topic 0**: cow, barn, milk\n* **Topic 1**: boat, sail\n",
    "commas of Chinese": "cow，barn，milk\nboat，sail\n",
    "commas of lists in Japanese": "cow、barn、milk\nboat、sail\n",
    "commas of Arabic": "cow، barn، milk\nboat، sail\n",
    "counts": "barn:3 cow:12 milk:2\nboat (7), sail (2)\n",
    "a rank a column": "topic\tword 1\tword 2\tword 3\n0\tcow\tbarn\tmilk\n1\tboat\tsail\t\n",
    "a table of lists": "topic_id;words\n0;cow barn milk\n1;boat sail\n",
    "tidytext": "topic,term,beta\n1,barn,0.3\n1,cow,0.5\n2,boat,0.75\n2,sail,0.25\n1,milk,0.2\n",
    "tomotopy's summary": (
        "<Basic Info>\n| LDAModel (current version: 0.14.0)\n|\n<Topics>\n"
        "| #0 (6) : cow barn milk\n| #1 (3) : boat sail\n|\n"
    ),
    "gensim's show_topics, printed": (
        "(0, [('barn', 0.3), ('cow', 0.5), ('milk', 0.2)])\n(1, [('boat', 0.75), ('sail', 0.25)])\n"
    ),
    "numpy's numbers": (
        "(0, [('barn', np.float32(0.3)), ('cow', np.float32(5e-1)), ('milk', np.float32(0.2))])\n"
        "(1, [(np.str_('boat'), np.float64(0.75)), ('sail', np.float64(0.25))])\n"
    ),
    "gensim's print_topics, printed": (
        '(0, \'0.500*"cow" + 0.300*"barn" + 0.200*"milk"\')\n(1, \'0.750*"boat" + 0.250*"sail"\')\n'
    ),
    "gensim's top_topics, printed": (
        "([(0.5, 'cow'), (0.3, 'barn'), (0.2, 'milk')], -1.5)\n"
        "([(0.75, 'boat'), (0.25, 'sail')], -2.5)\n"
    ),
    "tuples": "('cow', 'barn', 'milk')\n('boat', 'sail')\n",
    "tuples in one": "(('cow', 'barn', 'milk'),\n ('boat', 'sail'))\n",
    "pairs in round brackets": "(barn, 0.3), (cow, 0.5), (milk, 0.2)\n(boat, 0.75), (sail, 0.25)\n",
    "words in round brackets": "(cow, barn, milk)\n(boat, sail)\n",
    "a word and its weight a line": (
        "Topic #0\nbarn\t0.3\ncow\t0.5\nmilk\t0.2\nTopic #1\nboat\t0.75\nsail\t0.25\n"
    ),
    "tomotopy's loop": (
        "Topic #0\n\t\tbarn (0.3)\n\t\tcow (0.5)\n\t\tmilk (0.2)\n"
        "Topic #1\nboat (0.75)\nsail (0.25)\n"
    ),
    "weights between tabs": "barn\t0.3\tcow\t0.5\tmilk\t0.2\nboat\t0.75\tsail\t0.25\n",
    "weights between commas": "barn,0.3,cow,0.5,milk,0.2\nboat,0.75,sail,0.25\n",
    "weights between spaces": "barn 0.3 cow 0.5 milk 0.2\nboat 7e-1 sail 0.25\n",
    "weights between tabs, numbered": (
        "0\tbarn\t0.3\tcow\t0.5\tmilk\t.2\n1\tboat\t0.75\tsail\t0.25\n"
    ),
    "weights behind words": "barn 0.3, cow 0.5, milk 0.2\nboat 0.75, sail 0.25\n",
    "topics with names": (
        "topic,word,weight\nfarm,barn,.3\nfarm,cow,.5\nsea,boat,1\nsea,sail,.5\nfarm,milk,.2\n"
    ),
    "lists with names": 'topic,words\nfarm,"cow, barn, milk"\nsea,"boat, sail"\n',
    "outliers with names": (
        'topic,words\n-1_the_of,"the, of"\n0_cow,"cow, barn, milk"\n1_boat,"boat, sail"\n'
    ),
    "outliers counted": "-1 the of\n0 cow barn milk\n1 boat sail\n",
    "BERTopic's names": "-1_the_of: the, of\n0_cow_barn: cow, barn, milk\n1_boat: boat, sail\n",
    "weights of the best words": (
        "0\tcow\t0.5\n0\tbarn\t0.3\n0\tmilk\t0.2\n1\tboat\t0.9\n1\tsail\t0.2\n"
    ),
}


@pytest.mark.parametrize("data", JSON.values(), ids=JSON)
def test_every_json_form_gives_the_lists(tmp_path: Path, data: Any) -> None:
    path = tmp_path / "topics.json"
    path.write_text(json.dumps(data))
    assert read_word_lists(path) == TOPICS


@pytest.mark.parametrize("text", LINES.values(), ids=LINES)
def test_one_topic_a_line_gives_the_lists(tmp_path: Path, text: str) -> None:
    path = tmp_path / "topics.txt"
    path.write_text(text, newline="")
    assert read_word_lists(path) == TOPICS


def test_numbers_may_be_words(tmp_path: Path) -> None:
    path = tmp_path / "topics.txt"
    path.write_text("1984 orwell\n2001 kubrick\n")
    assert read_word_lists(path) == [["1984", "orwell"], ["2001", "kubrick"]]
    weights = tmp_path / "weights.txt"
    weights.write_text("0\t1984\t2.5\n0\tnan\t1.5\n0\torwell\t0.1\n")
    assert read_word_lists(weights) == [["1984", "nan", "orwell"]]
    weights.write_text("0\t1984\t2.5\n0\tnan\t0.1\n1\t1984\t0.1\n1\tnan\t1.5\n")
    assert read_word_lists(weights) == [["1984"], ["nan"]]


def test_a_topic_alone_may_be_numbered(tmp_path: Path) -> None:
    path = tmp_path / "topics.txt"
    path.write_text("0 cow barn\n")
    assert read_word_lists(path) == [["cow", "barn"]]


@pytest.mark.parametrize(
    "text", ["war 1990 gulf 1991\nunion 1917\n", "5 2 3 4\n7 3 4 6\n", "cow 3 barn 2\nboat sail\n"]
)
def test_numbers_between_words_need_not_be_weights(tmp_path: Path, text: str) -> None:
    path = tmp_path / "topics.txt"
    path.write_text(text)
    assert read_word_lists(path) == [line.split() for line in text.splitlines()]


def test_cells_may_be_long(tmp_path: Path) -> None:
    path = tmp_path / "topics.csv"
    long = ["x" * 140_000, "y" * 140_000]
    path.write_text(",".join(long) + "\n")
    assert read_word_lists(path) == [long]


@pytest.mark.parametrize(
    "text",
    ["topic,model,word\nsea,fish,ship\n", "words,text,topics\nsea,fish,ship\n", "id,term\na,b\n"],
)
def test_words_of_headers_may_be_a_topics(tmp_path: Path, text: str) -> None:
    path = tmp_path / "topics.csv"
    path.write_text(text)
    assert read_word_lists(path) == [line.split(",") for line in text.splitlines()]


def test_tomotopys_own_summary(tmp_path: Path) -> None:
    import tomotopy

    model = tomotopy.LDAModel(k=2, seed=1)
    for words in TOPICS * 5:
        model.add_doc(words)
    model.train(50, workers=1)
    path = tmp_path / "summary.txt"
    with path.open("w") as file:
        model.summary(topic_word_top_n=3, file=file)
    shown = [[word for word, _ in model.get_topic_words(k, top_n=3)] for k in range(2)]
    assert read_word_lists(path) == shown


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "t.json",
            '{"a": ["x"], "b": ["y"]}',
            r"t\.json must hold a JSON list .*, not the keys a, b",
        ),
        ("t.json", '["cow barn"]', r"t\.json, topic 0: 'cow barn' must be a list of words"),
        ("t.json", '[["cow"], [1, 2]]', r"t\.json, topic 1: \[1, 2\] must be"),
        ("t.json", '[[["cow", "0.5"]]]', r"t\.json, topic 0"),
        ("t.json", "3", r"must hold .*, not 3"),
        ("t.json", "[" * 100_000, r"t\.json: nested too deeply"),
        ("t.json", '[["cow"]\n["boat", ]', r"cannot read .*: not JSON"),
        ("t.json", '["cow"]\n["boat" "x"]', r"cannot read .*t\.json, line 2: not JSON"),
        ("t.txt", "cow barn\n,,\n", r"t\.txt, line 2: ',,' has no words; give a JSON list"),
        (
            "t.csv",
            ",0,1\n0,cow,boat\n1,barn,sail\n",
            r"t\.csv: its columns are numbered, which may",
        ),
        ("t.csv", "topic,words\n0,\"['cow' 'barn']\"\n", r"t\.csv: .* is no list of words"),
        ("t.txt", "['cow' 'barn']\n['boat' 'sail']\n", r"cannot read .*, line 1: not JSON"),
        ("t.txt", "Topic 0:\nTopic 1:\nboat\n", r"t\.txt: topic 0 has no words; give"),
        ("t.txt", "(0, [('cow', x)])\n", r"t\.txt, line 1: .*cow.* is no list that Python prints"),
        ("t.txt", "(1, 2)\n", r"t\.txt, topic 0: \[1, 2\] must be"),
        ("t.txt", f"Topic {'9' * 5000}: cow\n", r"line 1: '9+ is no whole number of at most 18"),
        ("t.json", f'{{"{"9" * 5000}": ["cow"]}}', r"t\.json: .* '9+ is no whole number"),
        ("t.tsv", f"{'9' * 5000}\tcow\t1\n", r"t\.tsv, line 1: '9+ is no whole number"),
        ("t.csv", f"topic,word\n{'9' * 5000},cow\n", r"t\.csv: .* '9+ is no whole number"),
        ("t.tsv", "0\tcow\t1\n0\tcow\t2\n", r"line 2: topic 0 has the word 'cow' twice"),
        ("t.csv", "topic,word,weight\n0,cow,x\n", r"t\.csv: the weight of 'cow': 'x' is no finite"),
        (
            "t.csv",
            'topic,words\nsea,"fish, ship"\nfarm,cow\n',
            r"t\.csv: the column 'topic' holds no numbers of topics, and not every cell of 'words'",
        ),
        ("t.txt", "", r"t\.txt must hold .*; it has no topic"),
    ],
)
def test_what_is_no_topic_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_word_lists(path)
    assert "\n" not in str(caught.value)
