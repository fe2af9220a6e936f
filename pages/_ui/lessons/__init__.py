"""Lessons: one claim each, a guess before the figure answers, real parts, and what is not shown.

Add a lesson: nothing but these files, in this folder, is needed.

1. `lesson_N_NAME.py` with `LESSON = Lesson(...)` (see `lesson.py`: every field is explained there). N is its number and
   its place: menu, address `/lesson-N`, index, Next, presenter mode, print, glossary and the HTML file follow from it.
   Texts are paragraphs with the marks of `words.py`: `{name}` is filled from the `facts` that `figure()` computes, so
   no number is typed; `[[word]]` or `[[shown words|word]]` explains a word of the glossary on hover and focus; $W$ is
   a formula. Imports that load torch belong inside `figure()`: titles are read before the first page is on the screen.
   `figure()` runs once a server; it may read what is shipped, and must not need image files (`Source.parse(...)`,
   `finish(fit_wiener(source))`, `find_network(source, name)`, `learned_table(network)`, `found_agreement(...)`).
2. `lesson_N_NAME.js`, the figure: a class that extends `Lesson` of `lesson.js` with `build()` (once, into
   `this.figure`), `draw()` (whenever something changes; `this.guess`, `this.revealed`, `this.truth`, `this.data` (the
   figure's head) and `this.arrays` are there) and, where options of the guess have pictures, `ornament(i)`; at its end
   `export default taught(NAME)`. Before `this.revealed` it must not show the answer.
3. Guesses (`guess.py`): `Pick` one or several, `Match` names to things, `Order`, `Number`, `Draw` bars, `Point` at a
   pixel. All work by keyboard, show the answer beside the guess, and are in the address.
4. `tests/browser/test_lessons.py` walks every lesson by keyboard on every screen; put the lesson's own
   numbers beside the library's there.
"""

from pages._ui.lessons.page import index, lesson_pages

__all__ = ["index", "lesson_pages"]
