"""The rooms of the house, one package a stage; each holds its config, its pure core, and its adapters to libraries."""
