"""The vocabulary: names, the v1alpha1 types, conditions and their reasons. Pure; imports nothing else of ours."""
