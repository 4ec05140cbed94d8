"""What captions say: lines of random words in several scripts, each in fonts that have its letters."""

from __future__ import annotations

import numpy as np

# Hebrew and Arabic letters stand in the order they are drawn in, unjoined.
ALPHABETS = {
    "latin": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!?&#éüñçåö",
    "greek": "αβγδεζηθικλμνξοπρστυφχψωΑΒΓΔΘΛΞΠΣΦΨΩ",
    "cyrillic": "абвгдежзийклмнопрстуфхцчшщыьэюяАБВГДЖЗИКЛМНПРСТФЦШЭЮЯ",
    "armenian": "աբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցուփքօֆ",
    "georgian": "აბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰ",
    "hebrew": "אבגדהוזחטיכלמנסעפצקרשתםןףץ",
    "arabic": "ابتثجحخدذرزسشصضطظعغفقكلمنهوي",
}
# numbers in patches.FONTS
FONTS_OF = {
    "latin": (0, 1, 2, 3, 4, 5, 6, 7),
    "greek": (0, 1, 2, 3, 4, 5),
    "cyrillic": (0, 1, 2, 3, 4, 5),
    "armenian": (0, 1, 3),
    "georgian": (0, 1, 3, 5),
    "hebrew": (0, 1),
    "arabic": (0, 1),
}
_SCRIPTS = tuple(ALPHABETS)
_LATIN_SHARE = 0.5


def sample_line(rng: np.random.Generator, most_words: int) -> tuple[str, int]:
    """One to most_words words, and the number of a font to write them in."""
    script = "latin" if rng.random() < _LATIN_SHARE else _SCRIPTS[rng.integers(len(_SCRIPTS))]
    alphabet, fonts = ALPHABETS[script], FONTS_OF[script]
    words = []
    for _ in range(rng.integers(1, most_words + 1)):
        letters = rng.integers(0, len(alphabet), rng.integers(2, 9)).tolist()
        words.append("".join(alphabet[letter] for letter in letters))
    return " ".join(words), fonts[rng.integers(len(fonts))]
