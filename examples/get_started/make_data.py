"""Write small data like that of DVC's example-get-started to `data/data.xml`: python make_data.py."""

import random
from pathlib import Path
from xml.sax.saxutils import quoteattr

POSTS = 400
WORDS = {
    True: ["list", "dict", "lambda", "import", "pandas"],
    False: ["lm", "ggplot", "vector", "frame", "cran"],
}
COMMON = ["plot", "error", "column", "loop", "value", "sort", "package", "read", "merge", "how"]


def main() -> None:
    """Write the posts; they are the same each time."""
    chosen = random.Random(1)  # noqa: S311  # no secret
    lines = []
    for number in range(POSTS):
        is_python = chosen.random() < 0.4
        words = chosen.choices(COMMON, k=12) + chosen.choices(WORDS[is_python], k=3)
        words += chosen.choices(WORDS[not is_python], k=1)
        chosen.shuffle(words)
        title, body = " ".join(words[:4]), " ".join(words[4:])
        tags = "<python>" if is_python else "<r>"
        post = {"Id": str(number), "Title": title, "Body": body, "Tags": tags}
        lines.append(f"<row {' '.join(f'{name}={quoteattr(text)}' for name, text in post.items())} />")
    Path("data").mkdir(exist_ok=True)
    Path("data/data.xml").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
