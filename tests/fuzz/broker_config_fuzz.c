/* The broker's configuration file. An include_dir is passed over: the input is to name no folder of
 * the machine. */
#include "broker_config.h"
#include "fuzz.h"

struct said {
    int n, fatal;
};

static void on_said(void *user, bool fatal, const char *sentence)
{
    struct said *said = user;
    FUZZ_CHECK(sentence[0] != '\0' && strlen(sentence) < 512);
    said->n++;
    said->fatal += fatal;
}

static int read_config(struct broker_config *config, const void *text, size_t bytes)
{
    char cmdline[64], error[256] = "";
    struct fuzz_file file;
    fuzz_file_open(&file, text, bytes);
    int n = snprintf(cmdline, sizeof cmdline, "mosquitto%c-c%c%s", 0, 0, file.path);
    int result = broker_config_read(config, cmdline, (size_t)n + 1, error, sizeof error);
    fuzz_file_close(&file);
    FUZZ_CHECK((result == 0) == (error[0] == '\0'));
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char more[] =
        "\nper_listener_settings true\npersistence 1\n  retain_available  false \r\n";
    struct broker_config config, again;
    struct said said = {0}, less = {0};
    if (memmem(data, bytes, "include_dir", 11) != NULL)
        return 0;
    FUZZ_CHECK(read_config(&config, data, bytes) == 0);
    FUZZ_CHECK(memchr(config.auto_id_prefix, 0, sizeof config.auto_id_prefix) != NULL);
    FUZZ_CHECK(broker_config_judge(&config, false, on_said, &said) == said.fatal);
    FUZZ_CHECK(broker_config_judge(&config, true, on_said, &less) == less.fatal &&
               less.fatal <= said.fatal);

    /* What is appended holds, whatever precedes it. */
    char *text = malloc(bytes + sizeof more);
    if (text == NULL)
        abort();
    if (bytes > 0)
        memcpy(text, data, bytes);
    memcpy(text + bytes, more, sizeof more);
    FUZZ_CHECK(read_config(&again, text, bytes + sizeof more - 1) == 0);
    FUZZ_CHECK(again.per_listener_settings && again.persistence && again.retain_unavailable);
    FUZZ_CHECK(again.foreign_auto_id == config.foreign_auto_id);
    free(text);
    return 0;
}
