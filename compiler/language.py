"""A text goes in; the language that it surely is in comes out.

A file of its own because checks, prompts and sifting ask the same. There is no model behind it,
only the script of the letters and the words that no sentence of a language goes without. What it is
not sure of, it does not say.
"""

import re
from collections import Counter

# Languages by their code (ISO 639-1), as prompts name them.
NAMES = {
    "ar": "Arabic",
    "bn": "Bengali",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sv": "Swedish",
    "ta": "Tamil",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "vi": "Vietnamese",
    "zh": "Chinese",
}
_CODES = {name: code for code, name in NAMES.items()}

# Frequent words. One that two of these languages have counts for neither.
FREQUENT = {
    "English": (
        "the of and is are was were that which with from this they have has been by what how "
        "does its their when would should can these it's who why where in on an as at or for "
        "to so no a not be it but if over had he we me per"
    ),
    "German": (
        "der und das ist nicht mit ein eine einen einer auf sich auch wird werden sind oder "
        "aus bei nach über wie durch kann welche wurde zum zur dem des für im von die den in "
        "an am so war was als es er sie zu man hat dass wenn vor noch nur per"
    ),
    "French": (
        "les des est une dans pour qui sur avec pas sont par plus cette ces aux leur était "
        "être elle ils mais ou où comme nous quelle quel peut c'est qu'il du et le la il à ne "
        "on un en au si non se de y a me"
    ),
    "Spanish": (
        "el los las del una por con para como más su sus está fue este esta pero también "
        "cuando muy qué cuál cómo entre desde hay son ser y lo la le un en no si se de a es "
        "al e o me"
    ),
    "Portuguese": (
        "não uma dos das ao aos pelo pela são mais foi você também muito seu sua quando isso "
        "ele ela já até os em um como é qual à a o e de do da se no na por para as que com es "
        "me"
    ),
    "Italian": (
        "il gli della delle degli dei nel nella sono che non per più anche questo questa "
        "essere come cosa dal alla è di una ha quali qual si le lo la un e in con no se i o a "
        "al del da me"
    ),
    "Dutch": (
        "het een van en niet dat zijn voor met aan ook naar wordt worden deze bij uit over "
        "maar dit als welke hoe wat kan heeft werd tot de in is was of die op te er zo door "
        "hij we me"
    ),
    "Polish": (
        "nie się jest na to że jak przez dla oraz który która które są może być od czy jego "
        "tym ale tego przy został w z do a o i po za we"
    ),
    "Swedish": (
        "och att det som är på för av inte med till ett har om kan den var från hur vad när "
        "eller sig en i de så man vi"
    ),
    "Turkish": (
        "ve bir bu için ile olarak olan daha gibi çok nedir kadar sonra ancak değil hangi "
        "nasıl ne mi her de da o en"
    ),
    "Indonesian": (
        "yang dan di dengan untuk dari ini itu dalam pada adalah tidak akan atau juga oleh "
        "apa dapat bagaimana sebagai"
    ),
}
_SCRIPTS = {
    "Cyrillic letters": "\u0400-\u052f",
    "Greek": "\u0370-\u03ff",
    "Hebrew letters": "\u0590-\u05ff",
    "Arabic letters": "\u0600-\u06ff\u0750-\u077f",
    "Devanagari letters": "\u0900-\u097f",
    "Bengali letters": "\u0980-\u09ff",
    "Tamil letters": "\u0b80-\u0bff",
    "Thai": "\u0e00-\u0e7f",
    "Korean": "\u1100-\u11ff\uac00-\ud7af",
    "Chinese or Japanese": "\u3040-\u30ff\u3400-\u9fff",
}
_LATIN = "A-Za-z\u00c0-\u024f"
_LANGUAGES_OF = Counter(word for words in FREQUENT.values() for word in set(words.split()))
_LANGUAGE_OF = {
    word: name
    for name, words in FREQUENT.items()
    for word in words.split()
    if _LANGUAGES_OF[word] == 1
}
_SAMPLE = 300
_LEAST_WORDS = 5
_LEAST_LETTERS = 12
_SURE = 4


def language(text: str) -> str:
    """The language that the first 300 characters are surely in, or their script; "" if unsure."""
    text = text[:_SAMPLE]
    strange = len(text.encode("utf-8", "surrogatepass")) - len(text)
    if strange > len(text) // 3:
        latin = len(re.findall(f"[{_LATIN}]", text))
        for name, letters in _SCRIPTS.items():
            count = len(re.findall(f"[{letters}]", text))
            if count >= _LEAST_LETTERS and count > latin:
                return name if count > 2 * latin else ""
    counts = Counter(map(_LANGUAGE_OF.get, text.casefold().split()))
    del counts[None]
    (first, most), (_, second) = (*counts.most_common(2), ("", 0), ("", 0))[:2]
    return first or "" if most >= _LEAST_WORDS and most >= _SURE * second else ""


def code_of(name: str) -> str:
    """The code of a language that `language` named; "" for a script that several have."""
    return _CODES.get(name.removesuffix(" letters"), "")
