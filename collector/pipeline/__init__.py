"""One collector at work: wait for the trigger, seal a batch, evaluate it, deliver its snapshot; and who keeps it so."""
