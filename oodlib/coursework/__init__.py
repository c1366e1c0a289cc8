"""Assignments for a course, made from master notebooks: for students, for graders, and with solutions.

otter-grader and nbgrader are no dependencies: together they bring some fifty packages, Jupyter's servers among them.
The tests that run the assignments through the real tools are skipped where they are missing.
"""
