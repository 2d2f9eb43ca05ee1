#include "CTenon.h"

#include <string.h>

// Above the number of marks declared in TenonCore; what is beyond it is not counted.
#define CTENON_MARKS 256

static _Thread_local uint32_t counts[CTENON_MARKS];

void ctenon_mark(int mark) {
    if (mark >= 0 && mark < CTENON_MARKS) counts[mark]++;
}

uint32_t ctenon_mark_count(int mark) {
    return mark >= 0 && mark < CTENON_MARKS ? counts[mark] : 0;
}

void ctenon_marks_clear(void) { memset(counts, 0, sizeof counts); }
