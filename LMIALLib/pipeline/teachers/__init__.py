"""Teachers: models from elsewhere that make pseudo-labels of every slice, so that nobody starts from nothing.

A teacher is anything of the form `teacher.Teacher`; `choosing.teacher_named` makes one from the words of the command
line, `pseudo_labelling.make_pseudo_labels` lets it label a whole study, `trial.try_teacher` a few slices first.
"""
