"""Write a few small files into the folder `parts`: python make_data.py."""

from pathlib import Path


def main() -> None:
    """Write the files; they are the same each time."""
    Path("parts").mkdir(exist_ok=True)
    for number in range(1, 6):
        lines = "".join(f"{number * value}\n" for value in range(10))
        Path(f"parts/part-{number}.csv").write_text(f"v\n{lines}", encoding="utf-8")


if __name__ == "__main__":
    main()
