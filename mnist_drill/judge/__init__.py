"""Judging a network that somebody else wrote: by rules, in a process of its own, on images that it has never seen.

`judging.judge` judges one file and returns a `report.Report`; `classroom.judge_folder` judges a folder of them.
"""
