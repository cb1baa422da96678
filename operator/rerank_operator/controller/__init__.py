"""The loop: one stage per module.

events -> workqueue -> observe -> plan -> apply -> verify -> publish -> status; `reconcile` tells the story.

Stages do not import each other: frozen `values` pass between them. `plan` and `diagnose` are pure.
"""
