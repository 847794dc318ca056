/* The reader key file: accepted are 32 hex digits, with or without a newline, and nothing else. */
#include "core/reader.h"
#include "fuzz.h"

#include <ctype.h>

static bool expected(const uint8_t *data, size_t bytes)
{
    size_t digits = 0;
    while (digits < bytes && data[digits] < 0x80 && isxdigit(data[digits]))
        digits++;
    return digits == 32 && (bytes == 32 || (bytes == 33 && data[32] == '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct reader_key key;
    struct error error = {0};
    char text[33];
    struct fuzz_file file;
    fuzz_file_open(&file, data, bytes);
    int result = reader_key_load(&key, file.path, &error);
    fuzz_file_close(&file);
    FUZZ_CHECK((result == 0) == expected(data, bytes) && (result == 0) == (error.text[0] == '\0'));
    if (result != 0)
        return 0;
    for (size_t i = 0; i < sizeof key.bytes; i++)
        snprintf(text + 2 * i, 3, "%02x", key.bytes[i]);
    for (size_t i = 0; i < 32; i++)
        FUZZ_CHECK(tolower(data[i]) == text[i]);
    return 0;
}
