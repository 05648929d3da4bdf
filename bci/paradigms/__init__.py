"""What a participant is asked to do, as data; and a simulated participant who does it.

`speller`, `imagery` and `graz` hold seeded timetables, `keyboard` turns selections into
text, `frequencies` and `collisions` plan what a screen can flicker at, `subject`
is an EEG generator that listens to the markers a person would see. No Qt, no
device, no thread.
"""
