// The best token of a row of logits in host memory.
#ifndef JOULETOP_ARGMAX_H
#define JOULETOP_ARGMAX_H

// The first index of the largest number, ignoring NaN; -1 where there is none.
int argmax(const float * x, int n);

#endif
