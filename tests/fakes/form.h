/*
 * Bodies of type application/x-www-form-urlencoded, read into a JSON object of strings.
 */
#ifndef OG_TESTS_FAKES_FORM_H
#define OG_TESTS_FAKES_FORM_H

#include <jansson.h>

/*
 * The members of TEXT, owned by the caller; NULL when it isn't such a form. A repeated name is an
 * error.
 */
json_t *form_read(const char *text, size_t len);

#endif
