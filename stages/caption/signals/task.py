"""What the operator's words say for certain: which object is held, and which thing is worked on without a hand.

In: an English task text in the imperative ("put the red cup on the plate"). Out: `Task`. Grammar alone decides, over a
small list of verbs: one object, with an article, in the singular, and nothing else that could be meant. Whatever is not
plain is left unsaid, and so is every other language.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


TAKES = _set("pick grasp grab take put place carry insert drop lift bring stack hang return")
WORKS = _set("press push pull open close shut slide turn flip move")
EITHER = _set("push pull slide turn flip move")  # with a hand that takes the thing, or without
FIXED = _set("push pull turn flip")  # of things that one does not carry
PARTICLES = _set("up down out off away open closed shut back over")
RESULTS = _set("open closed shut away")  # particles that say what has become of the thing
ENDS = _set(
    "on onto in into to from over with through at under next beside between off out away up down open closed shut for "
    "inside near behind above below then using by around across toward towards along against until while so as which "
    "that without who you we it is are there's closer"
)
ARTICLES = _set("the a an this that")
MANNER = _set(  # words behind a thing that say how or where to
    "left right forward forwards backward backwards upright upside sideways clockwise counterclockwise anticlockwise "
    "there here gently carefully slowly quickly aside closer again vertically horizontally first together apart "
    "straight vertical horizontal slightly completely fully"
)
NO_THING = _set(  # nothing that a hand holds
    "arm arms hand hands gripper grippers finger fingers robot elbow foot shoulder wrist tip picture photo pressure "
    "position home pose step time look break turn other one"
)
SEVERAL = _set(
    "or and two three four five six both all some several many pair mice children people men women feet dice"
)
TOOLS = _set(
    "stick rod spatula spoon ladle brush broom hook tool pen pencil marker knife fork tongs hammer mallet sponge cloth "
    "towel rag wrench screwdriver eraser roller paddle bat pole"
)
ODD = re.compile(r"[()\[\]{}/\\\d&+|<>]")  # signs that grammar does not cover
ONE = ("ss", "us", "is", "os")  # endings of a single thing: glass, cactus, chassis, thermos
LONGEST = 5  # words of a thing


@dataclass(frozen=True, slots=True)
class Task:
    """held: what the hand takes ("the red cup"), empty if not certain. verb, thing, result: what is done without taking
    anything ("open", "the drawer", ""), empty if not certain. fixed: what is held is no thing that one carries: it is
    pulled, pushed, slid, turned or flipped."""

    held: str = ""
    verb: str = ""
    thing: str = ""
    result: str = ""
    fixed: bool = False


def read(text: str) -> Task:
    """What a task text says for certain."""
    if ODD.search(text):
        return Task()
    words = re.findall(r"[a-z][a-z'-]*|[,;.]", text.casefold().removeprefix("please "))
    clauses = _clauses([w for w in words if w != "please"])
    if not clauses or clauses[0][0] not in TAKES | WORKS:
        return Task()
    held, verb, thing, result, fixed = "", "", "", "", False
    for number, clause in enumerate(clauses):
        does, rest = clause[0], clause[1:]
        if does not in TAKES | WORKS:
            return Task()
        while rest and rest[0] in PARTICLES:
            rest = rest[1:]
        if rest and rest[0] in ("it", "them") and number:
            continue
        named, after = _thing(rest)
        if not named or number:  # a second thing, or none: nothing is certain
            return Task()
        if does in WORKS and "with" in after:  # a tool, or a part of the thing, or what lies in it
            held = _tool(after)
        else:
            held, fixed = named if does in TAKES | EITHER else "", does in FIXED
        if does in WORKS:
            verb, thing = does, named
            result = after[0] if after and after[0] in RESULTS else ""
    return Task(held, verb, thing, result, fixed)


def _clauses(words: list[str]) -> list[list[str]]:
    """Parts between "and", "then" and marks; what begins without a verb ends up as a clause of its own."""
    clauses: list[list[str]] = [[]]
    for word in words:
        if word in ("and", "then", ",", ";", "."):
            clauses.append([])
        else:
            clauses[-1].append(word)
    return [c for c in clauses if c]


def _thing(words: list[str]) -> tuple[str, list[str]]:
    """("the red cup", the words after it); empty where no single thing is named."""
    if not words or words[0] not in ARTICLES:
        return "", words
    end = next((i for i, word in enumerate(words) if i and word in ENDS), len(words))
    own = words[1:end]
    while own and own[-1] in MANNER:
        own = own[:-1]
    if not 1 <= len(own) <= LONGEST or own[-1] in NO_THING or any(word in ARTICLES | SEVERAL for word in own):
        return "", words
    if own[-1].endswith("s") and not own[-1].endswith(ONE):
        return "", words
    return " ".join(["the" if words[0] in ("a", "an") else words[0], *own]), words[end:]


def _tool(words: list[str]) -> str:
    """What comes after "with", if it is a tool."""
    named, _ = _thing(words[words.index("with") + 1 :])
    return named if named and named.split()[-1] in TOOLS else ""
