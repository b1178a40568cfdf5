"""What is done to the pages that nbdev made, before Quarto shows them: the notebooks stay as they are

Cells that only test are folded. Classes are shown as classes, and described parameters as a table. Links in
code blocks and in links are taken out. A badge alone in its paragraph does not become a figure. Options of
commands stay in one line. Vertical bars in code in tables are shown without a backslash. Properties are shown
without brackets.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from types import UnionType
from typing import Literal, Union, get_args, get_origin

FOLD = '#| code-fold: true\n#| code-summary: "Tests"\n'
BADGES = re.compile(r'^(\[!\[[^\]]*\]\([^)]*badge[^)]*\)\]\([^)]*\))$', re.M)
CODE = re.compile(r'(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)')
BLOCK = re.compile(r'^```python\n(?P<kind>def|class) (?P<rest>.*?)\n```$', re.M | re.S)


# -- Tests


def tests(node: ast.stmt) -> bool:
    "Does a statement only test? An assert, a call of test_…, or a block of nothing else"
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        called = node.value.func
        return getattr(called, 'id', getattr(called, 'attr', '')).startswith('test_')
    if isinstance(node, (ast.For, ast.With, ast.If)):
        return all(tests(inner) for inner in node.body)
    return isinstance(node, ast.Assert)


def shows(node: ast.stmt) -> bool:
    "Is a statement there to be seen: an expression that is no test?"
    return isinstance(node, ast.Expr) and not tests(node)


def only_tests(cell: dict) -> bool:
    """Does a code cell of a page only test? It shows nothing, and at least half of its statements test.

    What is not a test in it gets something ready for one.
    """
    text = ''.join(cell['source'])
    if (
        cell['cell_type'] != 'code'
        or cell.get('outputs')
        or re.search(r'^#\| *(echo|code-fold):', text, re.M)
    ):
        return False
    try:
        body = ast.parse(text).body
    except SyntaxError:  # a magic command
        return False
    found = sum(map(tests, body))
    imports = sum(isinstance(node, (ast.Import, ast.ImportFrom)) for node in body)
    return 0 < found >= len(body) - imports - found and not any(map(shows, body))


def without_options(text: str) -> str:
    "A cell's code without the lines that Quarto reads"
    return re.sub(r'^#\|.*\n?', '', text, flags=re.M).strip()


# -- Signatures


def unlinked_code(text: str) -> str:
    """Take the links out of code blocks: nbdev makes links of the names in a signature's comments, and there
    they are shown as text"""
    return re.sub(
        r'^```.*?^```',
        lambda block: re.sub(r'\[(`[^`]*`)\]\(https?:[^)]*\)', r'\1', block[0]),
        text,
        flags=re.M | re.S,
    )


def unnested_links(text: str) -> str:
    """Take the links out of links: nbdev makes links also of names that are linked already, and Pandoc shows
    such a link as text"""
    return re.sub(r'\[\[(`[^`]*`)\]\(https?:[^)]*\)\]\(', r'[\1](', text)


def with_fields(text: str, tuples: dict[str, str]) -> str:
    "Put the fields of a named tuple where nbdev says *args, **kwargs"
    return re.sub(
        r'^def (\w+)\(\n    \*args, \*\*kwargs\n',
        lambda m: f'def {m[1]}(\n{tuples[m[1]]}' if m[1] in tuples else m[0],
        text,
        flags=re.M,
    )


def type_text(kind) -> str:
    "A type as code writes it: nbdev shows `list` for list[Path], and `Optional` for whatever may be None"
    origin, inside = get_origin(kind), get_args(kind)
    if kind is type(None):
        return 'None'
    if kind is ...:
        return '...'
    if isinstance(kind, list):  # the arguments of a Callable
        return f'[{", ".join(map(type_text, kind))}]'
    if origin in (Union, UnionType):
        return ' | '.join(map(type_text, inside))
    if origin is Literal:
        return f'Literal[{", ".join(map(repr, inside))}]'
    name = getattr(origin or kind, '__name__', str(kind))
    return f'{name}[{", ".join(map(type_text, inside))}]' if inside else name


def as_attribute(text: str, properties: set[str]) -> str:
    "What nbdev says of a property, as the property is used: without brackets"
    heading = re.search(r'^#+ ([\w.]+)$', text, re.M)
    if not heading or heading[1] not in properties:
        return text
    return re.sub(
        r'^def (\w+)\(\s*\)(?:->(.*?))?:( #.*)?$',
        lambda m: (f'{m[1]}: {m[2]}' if m[2] else m[1]) + (m[3] or ''),
        text,
        flags=re.M,
    )


def comments(code: str) -> dict[int, str]:
    "The comment of each line"
    found = {}
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT:
            found[token.start[0]] = token.string.lstrip('# ').strip()
    return found


def parameters(args: ast.arguments) -> Iterator[tuple[str, ast.arg, ast.expr | None]]:
    "Each parameter as it is written in a call: its stars and name, itself, its default"
    plain = [*args.posonlyargs, *args.args]
    defaults = [None] * (len(plain) - len(args.defaults)) + list(args.defaults)
    yield from ((arg.arg, arg, default) for arg, default in zip(plain, defaults))
    if args.vararg:
        yield '*' + args.vararg.arg, args.vararg, None
    yield from ((arg.arg, arg, default) for arg, default in zip(args.kwonlyargs, args.kw_defaults))
    if args.kwarg:
        yield '**' + args.kwarg.arg, args.kwarg, None


def in_cell(text: str) -> str:
    "Text as it stands in a cell of a Markdown table"
    return text.replace('|', '\\|')


def code_in_cell(text: str) -> str:
    "Code as it stands in a cell of a Markdown table; there Pandoc would show the backslash of \\|"
    return f'`{text.replace(" | ", " or ").replace("|", "/")}`' if text else ''


def type_name(node: ast.expr | None) -> str:
    "A type without the modules it is from"
    return re.sub(r'\b(?:[a-z_]\w*\.)+(?=[A-Z])', '', ast.unparse(node)) if node else ''


def default_text(default: ast.expr | None) -> str:
    "A default as the page shows it; empty where there is none. What is made with many arguments is cut short"
    text = ast.unparse(default) if default else ''
    return f'{ast.unparse(default.func)}(...)' if isinstance(default, ast.Call) and len(text) > 60 else text


def parameter_table(function: ast.FunctionDef, said: dict[int, str]) -> str:
    "A row for each parameter and for what comes back: name, type, default, what the code says of it"
    rows, listed = [], list(parameters(function.args))
    last = {arg.lineno: name for name, arg, _ in listed}  # a comment is about the last one of its line
    for name, arg, default in listed:
        meaning = said.get(arg.lineno, '') if last[arg.lineno] == name else ''
        rows.append((name, type_name(arg.annotation), default_text(default), meaning))
    if function.returns and function.returns.lineno in said:
        rows.append(('**returns**', type_name(function.returns), '', said[function.returns.lineno]))
    lines = ['| Parameter | Type | Default | Meaning |', '| --- | --- | --- | --- |']
    for name, kind, value, meaning in rows:
        shown = name if name == '**returns**' else code_in_cell(name)
        lines.append(f'| {shown} | {code_in_cell(kind)} | {code_in_cell(value)} | {in_cell(meaning)} |')
    return '\n'.join(lines)


def short_signature(kind: str, function: ast.FunctionDef) -> str:
    "The signature with names and defaults only; a line a parameter where one line would be long"
    shown = [
        name + (f'={default_text(default)}' if default else '')
        for name, _, default in parameters(function.args)
    ]
    keywords = [arg.arg for arg in function.args.kwonlyargs]
    if keywords and not function.args.vararg:
        shown.insert(next(i for i, text in enumerate(shown) if text.split('=')[0] == keywords[0]), '*')
    line = f'{kind} {function.name}({", ".join(shown)})'
    return line if len(line) <= 80 else f'{kind} {function.name}(\n    ' + ',\n    '.join(shown) + '\n)'


def in_lines(rest: str) -> str:
    "A signature in which the comment about what comes back, at its end, stands in one line"
    head, arrow, tail = rest.rpartition('\n)->')
    return head + arrow + ' '.join(tail.splitlines()) if arrow else rest


def signature(block: re.Match, classes: set[str]) -> str:
    "A block of `def name(…)` as nbdev writes it: a class is a class, and described parameters are a table"
    name = re.match(r'\w+', block['rest'])
    kind = 'class' if name and name[0] in classes else block['kind']
    try:
        # a default without a source is written like <factory>
        code = re.sub(r'=<[^>]*>', '=...', 'def ' + in_lines(block['rest']) + '\n    pass\n')
        function, said = ast.parse(code).body[0], comments(code)
    except (SyntaxError, tokenize.TokenError):
        return f'```python\n{kind} {block["rest"]}\n```'
    if not said:
        return f'```python\n{kind} {block["rest"]}\n```'
    return f'```python\n{short_signature(kind, function)}\n```\n\n{parameter_table(function, said)}'


def documented(text: str, tuples: dict[str, str], classes: set[str], properties: set[str]) -> str:
    "What nbdev says of a function, class or property, as the page shows it"
    text = with_fields(unlinked_code(as_attribute(text, properties)), tuples).replace('__main__.', '')
    text = text.replace('*Call self as a function.*', '')  # what Python says of a property without words
    return BLOCK.sub(lambda block: signature(block, classes), text)


# -- A page

# Classes that a reader comes for, though they stand late in the notebook: what they extend is defined first
FIRST = {'Predictor'}


def begins_section(cell: dict) -> bool:
    "Does a cell begin a section of the page?"
    return cell['cell_type'] == 'markdown' and ''.join(cell['source']).startswith('## ')


def with_first_class(cells: list[dict]) -> list[dict]:
    "The cells with a class of FIRST, and the words before it, ahead of the first section"
    shown = [re.findall(r'^show_doc\((\w+)\)', ''.join(cell['source']), re.M) for cell in cells]
    at = next((i for i, names in enumerate(shown) if names and names[0] in FIRST), 0)
    section = next((i for i, cell in enumerate(cells) if begins_section(cell)), len(cells))
    if at <= section:
        return cells
    words = cells[at - 1]['cell_type'] == 'markdown' and not begins_section(cells[at - 1])
    begin = at - words
    return cells[:section] + cells[begin : at + 1] + cells[section:begin] + cells[at + 1 :]


def with_class(code: re.Match) -> str:
    "Short code in a line with an option such as `--help` in it, with the class `option`; other code as it is"
    short = len(code[2]) <= 30 and re.search(r'(?<!\S)--\w', code[2])
    return f'{code[0]}{{.option}}' if short else code[0]


def with_whole_options(text: str) -> str:
    """Mark options, which styles.css keeps in one line: a browser would break it between dashes and name.

    Code in blocks is left as it is.
    """
    lines, fenced = text.split('\n'), False
    for i, line in enumerate(lines):
        fenced ^= line.lstrip().startswith(('```', '~~~'))
        if not fenced and not line.startswith(('#', '    ')):
            lines[i] = CODE.sub(with_class, line)
    return '\n'.join(lines)


def without_backslash(code: re.Match) -> str:
    r"""Code of a table with \| in it as HTML, because Pandoc shows the backslash; other code as it is.

    Marks are written by number: what stands between HTML tags is Markdown, in which -- is a dash.
    """
    if '\\|' not in code[2]:
        return code[0]
    text = re.sub(r'[^a-zA-Z0-9\s]', lambda mark: f'&#{ord(mark[0])};', code[2].replace('\\|', '|'))
    return f'<code>{text}</code>'


def with_plain_bars(text: str) -> str:
    "Show the vertical bars of code in tables without the backslash that a table needs before them"
    lines = [CODE.sub(without_backslash, line) if line.startswith('|') else line for line in text.split('\n')]
    return '\n'.join(lines)


def dressed(page: dict, tuples: dict[str, str], classes: set[str], properties: set[str]) -> dict:
    "A page of nbdev as Quarto shall show it"
    page['cells'] = with_first_class(page['cells'])
    sections = False  # has the page begun its first section?
    for cell in page['cells']:
        for output in cell.get('outputs', []):
            if 'text/markdown' in output.get('data', {}):
                shown = documented(''.join(output['data']['text/markdown']), tuples, classes, properties)
                if not sections:  # nbdev writes ### also where no ## stands above
                    shown = re.sub('^### ', '## ', shown, flags=re.M)
                output['data']['text/markdown'] = shown.splitlines(keepends=True)
        text = ''.join(cell['source'])
        sections |= cell['cell_type'] == 'markdown' and bool(re.search('^## ', text, re.M))
        if cell['cell_type'] == 'markdown':
            # Pandoc makes a figure of an image that is alone in its paragraph
            text = with_whole_options(with_plain_bars(BADGES.sub(r'\1&nbsp;', unnested_links(text))))
        elif only_tests(cell):
            text = FOLD + text
        cell['source'] = text.splitlines(keepends=True)
    return page
