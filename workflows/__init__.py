"""The pipeline as Argo workflows, made from the contract of the steps; `python -m workflows render` writes them."""
