"Install vision_recipes; everything that can change stands in settings.ini"

import re
import sys
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

# Only pip before 21.3 calls `setup.py develop`, with which today's setuptools fails in 40 lines
if 'develop' in sys.argv:
    sys.exit(
        'An old pip cannot install a clone that can be edited. Type: python -m pip install --upgrade pip, '
        'then the same command again.'
    )

here = Path(__file__).parent
config = ConfigParser(delimiters=['='])
config.read(here / 'settings.ini', encoding='utf-8')
cfg = config['DEFAULT']


def listed(key: str) -> list[str]:
    "The non-empty lines of a multi-line value"
    return [line.strip() for line in cfg.get(key, '').splitlines() if line.strip()]


def readme() -> str:
    "The README for a package index, where a link into the repository must be whole"
    text = (here / 'README.md').read_text(encoding='utf-8')
    whole = lambda m: (
        f'{m[1]}{cfg["git_url"]}/{"raw" if m[1].startswith("!") else "blob"}/{cfg["branch"]}/{m[2]})'
    )
    return re.sub(r'(!?\[[^\[\]]*\]\()(?!https?:|mailto:|#)([^()\s]+)\)', whole, text)


site = f'{cfg["doc_host"]}{cfg["doc_baseurl"]}'
setup(
    name=cfg['lib_name'],
    version=cfg['version'],
    description=cfg['description'],
    long_description=readme(),
    long_description_content_type='text/markdown',
    author=cfg['author'],
    author_email=cfg['author_email'],
    project_urls={
        'Documentation': site,
        'Source': cfg['git_url'],
        'Changelog': f'{cfg["git_url"]}/blob/{cfg["branch"]}/CHANGELOG.md',
        'Issues': f'{cfg["git_url"]}/issues',
    },
    keywords=cfg['keywords'].split(),
    packages=find_packages(include=[cfg['lib_path'], f'{cfg["lib_path"]}.*']),
    # The files of pages: they are edited by hand, no notebook exports them
    package_data={
        f'{cfg["lib_path"]}.{place}': ['static/*.html', 'static/*.css', 'static/*.js']
        for place in ('deploy.web', 'data.correction')
    },
    install_requires=listed('requirements'),
    extras_require={
        **{
            extra: listed(f'{extra}_requirements')
            for extra in ('train', 'video', 'heic', 'tensorboard', 'ray', 'hub')
        },
        'dev': [
            *listed('train_requirements'),
            *listed('video_requirements'),
            *listed('tensorboard_requirements'),
            *listed('dev_requirements'),
        ],
    },
    # The second is how nbdev finds the pages of the names in backticks
    entry_points={
        'console_scripts': listed('console_scripts'),
        'nbdev': [f'{cfg["lib_name"]}={cfg["lib_path"]}._modidx:d'],
    },
    classifiers=[
        'Development Status :: 3 - Alpha',
        'Environment :: Console',
        'Framework :: Jupyter',
        'Intended Audience :: Developers',
        'Intended Audience :: Science/Research',
        'Operating System :: OS Independent',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3 :: Only',
        *(f'Programming Language :: Python :: 3.{minor}' for minor in range(10, 14)),
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
    zip_safe=False,
)
