"""EV-LayerSegNet as published: network, loss, metric."""
