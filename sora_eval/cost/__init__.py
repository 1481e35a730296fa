"""What a run costs: estimates before it starts, rates of this machine, and which references are worth making."""
