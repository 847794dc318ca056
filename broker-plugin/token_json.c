#include "token_json.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static void wipe_and_free(void *memory)
{
    if (memory != NULL)
        explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

json_t *token_json_object(const void *text, size_t bytes)
{
    json_set_alloc_funcs(malloc, wipe_and_free);
    json_t *value = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    if (value != NULL && !json_is_object(value)) {
        json_decref(value);
        return NULL;
    }
    return value;
}

const char *token_json_string(const json_t *object, const char *member)
{
    return json_string_value(json_object_get(object, member));
}
