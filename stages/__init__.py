"""One package a stage: its declaration, its configuration, its pure core, and its adapters to libraries."""
