#include "tests/simulation/statics.h"

char statics_data_end[] = "the last";
char statics_bss_end[8];
