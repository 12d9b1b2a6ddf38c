"""Who does the work: this machine, Argo Workflows, or a fake, behind one protocol."""
