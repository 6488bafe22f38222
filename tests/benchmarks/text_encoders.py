"""Text encoders compared on what robots are told: `python -m tests.benchmarks.text_encoders [--write FILE]`.

Ten tasks in eight languages, written for this. A language is read where the same task in English is nearer than all
others (hits), and where unlike tasks in it are told apart (their mean cosine). Captions of a corpus, where one is
given: how often the nearest other caption of an event is of the same primitive.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

HEAD = """\
# Text encoders

Written by `python -m tests.benchmarks.text_encoders` on {date}. `embed.text_encoder` chooses; the default is the
multilingual one: it reads the languages that robots are taught in, starts sooner and is several times as fast. On
English captions it weighs the task's words more and the action's less than MiniLM (the nearest caption is then one of
the same task); among captions of other tasks both find the same action about equally often.

"""
Encode = Callable[[Sequence[str]], npt.NDArray[np.float32]]
TASKS = {
    "English": [
        "pick up the red cup", "open the top drawer", "pour water into the glass", "fold the towel",
        "press the green button", "close the laptop", "wipe the table with the sponge",
        "put the banana on the plate", "unplug the cable", "stack the blue block on the yellow one",
    ],
    "Chinese": [
        "拿起红色的杯子", "打开最上面的抽屉", "把水倒进玻璃杯", "把毛巾叠好", "按下绿色按钮", "合上笔记本电脑",
        "用海绵擦桌子", "把香蕉放到盘子上", "拔掉电缆", "把蓝色积木叠到黄色积木上",
    ],
    "Korean": [
        "빨간 컵을 집어", "맨 위 서랍을 열어", "유리잔에 물을 부어", "수건을 접어", "초록색 버튼을 눌러",
        "노트북을 닫아", "스펀지로 탁자를 닦아", "바나나를 접시 위에 놓아", "케이블을 뽑아",
        "파란 블록을 노란 블록 위에 쌓아",
    ],
    "Japanese": [
        "赤いカップを取って", "一番上の引き出しを開けて", "グラスに水を注いで", "タオルをたたんで",
        "緑のボタンを押して", "ノートパソコンを閉じて", "スポンジでテーブルを拭いて", "バナナを皿の上に置いて",
        "ケーブルを抜いて", "青いブロックを黄色いブロックの上に積んで",
    ],
    "German": [
        "nimm die rote Tasse", "öffne die oberste Schublade", "gieße Wasser in das Glas", "falte das Handtuch",
        "drücke den grünen Knopf", "klappe den Laptop zu", "wische den Tisch mit dem Schwamm ab",
        "lege die Banane auf den Teller", "zieh das Kabel heraus", "stelle den blauen Klotz auf den gelben",
    ],
    "Spanish": [
        "coge la taza roja", "abre el cajón de arriba", "vierte agua en el vaso", "dobla la toalla",
        "pulsa el botón verde", "cierra el portátil", "limpia la mesa con la esponja",
        "pon el plátano en el plato", "desenchufa el cable", "apila el bloque azul sobre el amarillo",
    ],
    "French": [
        "prends la tasse rouge", "ouvre le tiroir du haut", "verse de l'eau dans le verre", "plie la serviette",
        "appuie sur le bouton vert", "ferme l'ordinateur portable", "essuie la table avec l'éponge",
        "mets la banane sur l'assiette", "débranche le câble", "empile le bloc bleu sur le jaune",
    ],
    "Russian": [
        "возьми красную чашку", "открой верхний ящик", "налей воду в стакан", "сложи полотенце",
        "нажми зелёную кнопку", "закрой ноутбук", "протри стол губкой", "положи банан на тарелку",
        "вытащи кабель", "поставь синий кубик на жёлтый",
    ],
}  # fmt: skip


def minilm() -> Encode:
    from stages.models.text import TextEncoder, packaged_folder

    return TextEncoder("cpu", packaged_folder()).encode


def use() -> Encode:
    from stages.models.multilingual import MultilingualEncoder

    return MultilingualEncoder().encode


def languages(encode: Encode) -> list[tuple[str, int, float, float]]:
    """(language, tasks whose nearest in English is the same, cosine of the same task, of unlike ones in it)."""
    english, found = encode(TASKS["English"]), []
    for language, tasks in TASKS.items():
        own = encode(tasks)
        across, within = own @ english.T, own @ own.T
        unlike = within[~np.eye(len(tasks), dtype=bool)]
        hits = int((across.argmax(axis=1) == np.arange(len(tasks))).sum())
        found.append((language, hits, float(np.diag(across).mean()), float(unlike.mean())))
    return found


def captions(encode: Encode, corpus: str) -> tuple[float, float, int]:
    """(share of distinct L1 captions whose nearest other one is of the same primitive, the same among those of other
    tasks, how many)."""
    from pipeline.corpus.view import Corpus

    opened = Corpus(corpus)
    rows = opened.table("captions").join(opened.table("events").select("event_id", "primitive"), on="event_id")
    rows = rows.join(opened.table("episodes").select("episode_id", "task"), on="episode_id")
    rows = rows.filter(level="L1").unique("text", maintain_order=True)
    vectors, primitive, task = encode(rows["text"].to_list()), rows["primitive"].to_numpy(), rows["task"].to_numpy()
    near = vectors @ vectors.T
    np.fill_diagonal(near, -2)
    found = [float((primitive[near.argmax(axis=1)] == primitive).mean())]
    near[task[:, None] == task[None, :]] = -2
    found.append(float((primitive[near.argmax(axis=1)] == primitive).mean()))
    return found[0], found[1], len(rows)


def measure(corpus: str | None) -> list[str]:
    lines = [
        "| encoder | language | nearest in English is the same task | cosine, same task | cosine, unlike tasks |",
        "|---|---|---|---|---|",
    ]
    after = [
        "",
        "| encoder | ready after | sentences/s, one by one | nearest caption: same primitive | of another task |",
        "|---|---|---|---|---|",
    ]
    for name, make in (("all-minilm-l6-v2", minilm), ("use-multilingual-v3", use)):
        started = time.perf_counter()
        encode = make()
        encode(["one"])
        ready = time.perf_counter() - started
        lines += [
            f"| {name} | {la} | {hits} of {len(TASKS['English'])} | {same:.2f} | {unlike:.2f} |"
            for la, hits, same, unlike in languages(encode)
        ]
        texts = [f"{task} {i}" for i in range(20) for tasks in TASKS.values() for task in tasks]
        started = time.perf_counter()
        encode(texts)
        rate = len(texts) / (time.perf_counter() - started)
        told = "not measured | not measured"
        if corpus:
            share, across, number = captions(encode, corpus)
            told = f"{share:.2f} of {number} | {across:.2f}"
        after.append(f"| {name} | {ready:.1f} s | {rate:.0f} | {told} |")
    return [*lines, *after]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus")
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    text = "\n".join(measure(asked.corpus))
    print(text)
    if asked.write:
        asked.write.write_text(HEAD.format(date=time.strftime("%Y-%m-%d")) + text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
