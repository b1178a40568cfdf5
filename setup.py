"Install vision_recipes; everything that can change stands in settings.ini"
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

here = Path(__file__).parent
config = ConfigParser(delimiters=['='])
config.read(here/'settings.ini', encoding='utf-8')
cfg = config['DEFAULT']


def listed(key: str) -> list[str]:
    "The non-empty lines of a multi-line value"
    return [line.strip() for line in cfg.get(key, '').splitlines() if line.strip()]


setup(
    name=cfg['lib_name'],
    version=cfg['version'],
    description=cfg['description'],
    long_description=(here/'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    author=cfg['author'],
    author_email=cfg['author_email'],
    license='Apache-2.0',
    url=cfg['git_url'],
    keywords=cfg['keywords'].split(),
    python_requires=f'>={cfg["min_python"]}',
    packages=find_packages(include=[cfg['lib_path'], f'{cfg["lib_path"]}.*']),
    install_requires=listed('requirements'),
    extras_require={'dev': listed('dev_requirements')},
    entry_points={'console_scripts': listed('console_scripts')},
    classifiers=['Development Status :: 3 - Alpha', 'Programming Language :: Python :: 3', 'Topic :: Scientific/Engineering :: Image Recognition'],
    zip_safe=False,
)
