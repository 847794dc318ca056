/* The services file: what is accepted is within its bounds, loads the same when written again, and
 * admits its own secret alone; what is refused is refused without a word of it. */
#include "core/services.h"
#include "fuzz.h"

static const char *const roles[] = {"", "newsroom", "operator", "collector", "feed", "gateway"};

static void check_service(const struct services *services, const struct service *one)
{
    char other[SERVICES_SECRET_MAX_BYTES + 2];
    size_t bytes = strlen(one->secret);
    FUZZ_CHECK(one->role != ROLE_READER && services_find(services, one->name) == one);
    FUZZ_CHECK(strspn(one->name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(one->name) &&
               one->name[0] != '\0');
    FUZZ_CHECK(bytes >= 16 && bytes <= SERVICES_SECRET_MAX_BYTES);
    FUZZ_CHECK(services_secret_fits(one, one->secret) && !services_secret_fits(one, NULL));
    snprintf(other, sizeof other, "%sx", one->secret);
    FUZZ_CHECK(!services_secret_fits(one, other));
    other[bytes - 1] = '\0';
    FUZZ_CHECK(!services_secret_fits(one, other));
    other[0] ^= 1;
    FUZZ_CHECK(!services_secret_fits(one, other));
}

static void check_again(const struct services *services)
{
    static char text[SERVICES_MAX * (SERVICES_NAME_MAX_BYTES + SERVICES_SECRET_MAX_BYTES + 16)];
    static struct services again;
    struct fuzz_file file;
    size_t used = 0;
    for (int i = 0; i < services->n; i++)
        used += (size_t)sprintf(text + used, "%s %s %s\n", services->service[i].name,
                                roles[services->service[i].role], services->service[i].secret);
    fuzz_file_open(&file, text, used);
    FUZZ_CHECK(services_load(&again, file.path, NULL) == 0);
    FUZZ_CHECK(memcmp(&again, services, sizeof again) == 0);
    fuzz_file_close(&file);
}

/* No run of 16 or more bytes without a blank, as a secret is, goes from the file to the error. */
static void check_error(const char *error, const uint8_t *data, size_t bytes)
{
    char word[17] = "";
    for (size_t i = 0, n = 0; i < bytes; i++) {
        n = data[i] > ' ' && data[i] <= '~' ? n + 1 : 0;
        if (n < 16)
            continue;
        memcpy(word, data + i - 15, 16);
        FUZZ_CHECK(strstr(error, word) == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct services services;
    struct error error = {0};
    struct fuzz_file file;
    fuzz_file_open(&file, data, bytes);
    int result = services_load(&services, file.path, &error);
    FUZZ_CHECK(result == 0 ||
               (result == -1 && strncmp(error.text, file.path, strlen(file.path)) == 0));
    fuzz_file_close(&file);
    if (result == 0) {
        FUZZ_CHECK(services.n >= 0 && services.n <= SERVICES_MAX);
        for (int i = 0; i < services.n; i++)
            check_service(&services, &services.service[i]);
        check_again(&services);
    } else {
        check_error(error.text + strlen(file.path), data, bytes);
        for (size_t i = 0; i < sizeof services; i++)
            FUZZ_CHECK(((const unsigned char *)&services)[i] == 0);
    }
    return 0;
}
