"""A population: networks of one architecture, each with a random seed of its own, trained side by side as one network.

A small network leaves a GPU idle: starting a kernel takes longer than its work. A population starts each kernel once
for all of its members.
"""
