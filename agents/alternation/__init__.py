"""ALTERNATING-MARL: the driver, its judges, its learners, and the folder of a trained model."""
