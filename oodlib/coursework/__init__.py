"""Assignments for a course, made from master notebooks: for students, for graders, and with solutions."""
