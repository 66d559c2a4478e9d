"""docs/configuration.md is what udsph_tf/config_sections.py says.

    python tests/test_configuration_page.py

writes the page anew, after a change of a key.
"""

import ast
import json
from pathlib import Path

from udsph_tf import config_sections
from udsph_tf.config import Config

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "configuration.md"
HEAD = """# Configuration

Every key of a configuration, its general default and its meaning. A data set has defaults of its
own over these; a TOML file stands over them (`udsph fit --config`), and `--set section.key=value`
over that. A run folder's `config.toml` has what the run used. More on training options:
[training](training.md); on terms of the loss: [method](method.md); on bodies: [bodies](bodies.md).

*Written by tests/test_configuration_page.py out of udsph_tf/config_sections.py.*
"""


def page() -> str:
    """The page in Markdown, a table a section."""
    parts = [HEAD]
    tree = ast.parse(Path(config_sections.__file__).read_text(encoding="utf-8"))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    for section, values in vars(Config()).items():
        node = classes[type(values).__name__]
        parts += [f"## [{section}]\n", f"{ast.get_docstring(node)}\n"]
        parts += ["| key | default | meaning |", "|---|---|---|"]
        for field, following in zip(node.body, [*node.body[1:], None], strict=True):
            if isinstance(field, ast.AnnAssign):
                name = field.target.id
                default = json.dumps(getattr(values, name))
                parts.append(f"| `{name}` | `{default}` | {_meaning(values, name, following)} |")
        parts.append("")
    return "\n".join(parts)


def _meaning(values, name: str, following) -> str:
    """The docstring under a key, and what may be chosen."""
    assert isinstance(following, ast.Expr), f"{name} has no docstring"
    text = " ".join(ast.literal_eval(following.value).split())
    choices = type(values).__dataclass_fields__[name].metadata.get("choices")
    return f"{text} One of {', '.join(f'`{each}`' for each in choices)}." if choices else text


def test_configuration_page_is_what_the_code_says():
    assert PAGE.read_text(encoding="utf-8") == page(), "python tests/test_configuration_page.py"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
