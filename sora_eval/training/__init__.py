"""What every bundled network is trained with."""
