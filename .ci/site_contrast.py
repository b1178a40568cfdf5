"""The contrast of every text colour of the site with what lies behind it, both themes: at least 4.5 (WCAG AA)

It reads nbs/site.scss, nbs/site-dark.scss and nbs/styles.css, and needs neither Quarto nor a browser. Sass
would take what those files do not set from Bootstrap or Quarto, unseen: so each colour must stand there.
"""

import re
from collections.abc import Iterator
from pathlib import Path

LEAST = 4.5
# What is text, its colour, and what may lie behind it; a name is a Sass variable
PAIRS = [
    ('text', 'body-color', ['body-bg']),
    ('text in bold, in menus and captions', 'body-emphasis-color', ['body-bg']),
    ('muted text: subtitles, captions, dates', 'text-muted', ['body-bg', 'sidebar-bg']),
    ('links, also in tables and in the contents of a page', 'link-color', ['body-bg', 'code-bg']),
    ('code in a sentence', 'code-color', ['code-bg', 'body-bg']),
    ('outputs and plain blocks', 'pre-color', ['body-bg', 'code-block-bg', 'code-bg']),
    ('what is typed into the search', 'input-color', ['input-bg']),
    ('the empty search', 'input-placeholder-color', ['input-bg']),
    ('the bar', 'navbar-fg', ['navbar-bg']),
    ('the page in the bar', 'navbar-hl', ['navbar-bg']),
    ('the sidebar', 'sidebar-fg', ['sidebar-bg']),
    ('the page in the sidebar', 'sidebar-hl', ['sidebar-bg']),
    ('the footer', 'footer-fg', ['footer-bg']),
    ('links in the footer', 'link-color', ['footer-bg']),
]
# The colours of Quarto's `highlight-style: a11y`, which has a light and a dark half
HIGHLIGHT = {
    'light': '#545454 #d91e18 #a55a00 #008000 #696969 #06287e #007faa #7928a1',
    'dark': '#f8f8f2 #ffa07a #ffd700 #abe338 #d4d0ab #00e0e0 #dcc6e0 #f5ab35',
}
FILES = {'light': ['site.scss'], 'dark': ['site.scss', 'site-dark.scss']}


def channels(colour: str) -> list[float]:
    "Red, green and blue of #abc or #aabbcc, 0 to 1"
    digits = colour.removeprefix('#')
    digits = ''.join(c * 2 for c in digits) if len(digits) == 3 else digits
    return [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]


def luminance(colour: str) -> float:
    "Relative luminance, as WCAG 2.2 defines it"
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    "From 1 (the same) to 21 (black on white)"
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


def variables(text: str) -> dict[str, tuple[str, bool]]:
    "The Sass variables that a file sets: value, and whether it is a default that an earlier file may set"
    text = re.sub(r'/\*.*?\*/|//[^\n]*', '', text, flags=re.S)
    found = re.findall(r'^\s*\$([\w-]+)\s*:\s*([^;]*?)\s*(!default)?\s*;', text, re.M)
    return {name: (value, bool(default)) for name, value, default in found}


def themes(nbs: Path) -> dict[str, dict[str, str]]:
    "The value of each variable in each theme"
    read = {name: variables((nbs / name).read_text(encoding='utf-8')) for name in FILES['dark']}
    return {
        theme: {name: value for file in files for name, (value, _) in read[file].items()}
        for theme, files in FILES.items()
    }


def check_layers(nbs: Path) -> Iterator[str]:
    "What the dark theme sets is a default in the light one: Quarto reads the dark file first"
    light, dark = [variables((nbs / name).read_text(encoding='utf-8')) for name in FILES['dark']]
    for name in dark:
        if name in light and not light[name][1]:
            yield f'nbs/site.scss: ${name} would win over the one of site-dark.scss. Put !default behind it'


def colour_of(name: str, values: dict[str, str]) -> str:
    "The colour of a variable, which may name another; empty where it is not set, or is no plain colour"
    value = values.get(name, '')
    if value.startswith('$'):
        return colour_of(value[1:], {k: v for k, v in values.items() if k != name})
    return value if re.fullmatch(r'#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})', value) else ''


def css_pairs(css: str) -> Iterator[tuple[str, str, str, str]]:
    "Theme, selector, colour and ground (empty: the page's) of each rule that colours text or what is behind"
    for selector, body in re.findall(r'([^{}]+)\{([^{}]*)\}', re.sub(r'/\*.*?\*/', '', css, flags=re.S)):
        found = dict(re.findall(r'(?:^|;)\s*(color|background(?:-color)?)\s*:\s*(#[0-9a-fA-F]{3,6})\b', body))
        ground = found.get('background', found.get('background-color', ''))
        if 'color' in found or (ground and 'img' not in selector):
            only = re.findall(r'quarto-(light|dark)', selector)
            for theme in only or FILES:
                yield theme, selector.strip(), found.get('color', ''), ground


def pairs(theme: str, values: dict[str, str], css: str) -> Iterator[tuple[str, str, str]]:
    "What is text, its colour and the colour behind it; a variable without a colour keeps its name"
    for what, text, grounds in PAIRS:
        for ground in grounds:
            yield what, colour_of(text, values) or f'${text}', colour_of(ground, values) or f'${ground}'
    for colour in HIGHLIGHT[theme].split():
        yield 'highlighted code', colour, colour_of('code-block-bg', values) or '$code-block-bg'
    for where, selector, text, ground in css_pairs(css):
        if where == theme:
            page = colour_of('body-bg', values), colour_of('body-color', values)
            yield f'styles.css, {selector}', text or page[1], ground or page[0]


def check_contrast(nbs: Path) -> Iterator[str]:
    "Every text colour that is too near to what lies behind it, and every one that is not set"
    yield from check_layers(nbs)
    css = (nbs / 'styles.css').read_text(encoding='utf-8')
    for theme, values in themes(nbs).items():
        files = ' and '.join(f'nbs/{name}' for name in FILES[theme])
        for what, text, ground in pairs(theme, values, css):
            unset = [c for c in (text, ground) if c.startswith('$')]
            if unset:
                yield f'{files}: {", ".join(unset)} ({what}) has no colour like #aabbcc in the {theme} theme'
            elif contrast(text, ground) < LEAST:
                found = f'{text} on {ground} has contrast {contrast(text, ground):.2f}'
                yield f'{files}: {what}, {theme} theme: {found}, at least {LEAST} is wanted'
