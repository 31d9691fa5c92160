"""Learners with neural networks, on Stable-Baselines3 and PyTorch (extra `deep`)."""
