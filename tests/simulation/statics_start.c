#include "tests/simulation/statics.h"

char statics_data_start[] = "the first";
char statics_bss_start[8];
