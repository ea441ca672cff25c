"""Teachers: models from elsewhere that give a first opinion of every slice, so that nobody starts from nothing.

A teacher is anything of the form `teacher.Teacher`; `choosing.teacher_named` makes one from the words of the command
line, `teaching.teach` asks it about a whole study, `trial.try_teacher` about a few slices first.
"""
