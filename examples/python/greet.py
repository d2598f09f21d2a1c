import sys

from tabulate import tabulate

print(tabulate([["hello", name] for name in sys.argv[1:]], headers=["word", "to"]))
