/* The reader's id comes from a file or standard input, never from the command line. Anyone who
 * lists processes can see the command line, and the shell's history keeps it. Knowing a username is
 * enough to react as its reader. */
#include "erase.h"

#include "command.h"
#include "json_out.h"

#include "core/bytes.h"
#include "core/error.h"
#include "core/reader.h"
#include "core/secret_file.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SLICE 50 /* articles a call: 0.9 ms of Redis if the reader is in each, else 0.3 */
#define HASH_BYTES 8

struct erasing {
    const struct operate_settings *settings;
    struct store_view *store;
    struct store_edit *edit;
    struct reader_key key;
    char reader[READER_NAME_MAX_BYTES + 3]; /* room for a line end, and one byte to detect excess */
    size_t reader_bytes;
    uint32_t shard;
    size_t n; /* articles of the slice */
    char article[SLICE][ARTICLE_MAX_BYTES];
    size_t bytes[SLICE];
    unsigned char hash[SLICE][HASH_BYTES];
    uint64_t articles, found, counted, damaged;
};

/* --- who --- */

static ssize_t read_standard(char *out, size_t max, struct error *error)
{
    size_t used = 0;
    ssize_t n = 1;
    while (n > 0 && used < max) {
        do
            n = read(STDIN_FILENO, out + used, max - used);
        while (n < 0 && errno == EINTR);
        if (n < 0)
            return error_set(error, "standard input: %s", strerror(errno));
        used += (size_t)n;
    }
    return (ssize_t)used;
}

/* Returns 0, or -1 with a sentence that does not contain the id. */
static int read_reader(struct erasing *erasing, struct error *error)
{
    const char *path = erasing->settings->reader_file;
    struct error why;
    ssize_t bytes = strcmp(path, "-") == 0
                        ? read_standard(erasing->reader, sizeof erasing->reader, &why)
                        : secret_file_read(path, erasing->reader, sizeof erasing->reader, &why);
    if (bytes < 0)
        return error_set(error, "option reader_file: %s", why.text);
    size_t used = (size_t)bytes;
    if (used > 0 && erasing->reader[used - 1] == '\n')
        used--;
    if (used > 0 && erasing->reader[used - 1] == '\r')
        used--;
    if (used == 0 || used > READER_NAME_MAX_BYTES || memchr(erasing->reader, '\n', used) != NULL ||
        memchr(erasing->reader, '\0', used) != NULL)
        return error_set(error, "option reader_file: it is not one line of 1 to %d bytes",
                         READER_NAME_MAX_BYTES);
    erasing->reader_bytes = used;
    return 0;
}

static int check_key(const struct erasing *erasing)
{
    unsigned char fingerprint[READER_FINGERPRINT_BYTES];
    char text[2 * READER_FINGERPRINT_BYTES + 1];
    reader_fingerprint(&erasing->key, fingerprint);
    (void)sodium_bin2hex(text, sizeof text, fingerprint, sizeof fingerprint);
    if (strcmp(text, store_view_key(erasing->store)) == 0)
        return COMMAND_DONE;
    return command_refused(erasing->settings,
                           "option key_file: it holds another key (fingerprint %s) than the store "
                           "is counted with (%s)",
                           text, store_view_key(erasing->store));
}

/* --- slices --- */

static int flush_slice(struct erasing *erasing)
{
    const struct operate_settings *settings = erasing->settings;
    const char *argv[2 + 2 * SLICE] = {settings->dry_run ? "look" : "do",
                                       strcmp(settings->counts, "keep") == 0 ? "1" : "0"};
    size_t bytes[2 + 2 * SLICE] = {strlen(argv[0]), 1};
    for (size_t i = 0; i < erasing->n; i++) {
        argv[2 + 2 * i] = erasing->article[i];
        bytes[2 + 2 * i] = erasing->bytes[i];
        argv[3 + 2 * i] = (const char *)erasing->hash[i];
        bytes[3 + 2 * i] = HASH_BYTES;
    }
    struct store_edit_call call = {
        .shard = erasing->shard, .argc = (int)(2 + 2 * erasing->n), .argv = argv, .bytes = bytes};
    if (erasing->n == 0)
        return 0;
    erasing->n = 0;
    if (store_edit_call(erasing->edit, STORE_EDIT_ERASE, &call, 1) != 0)
        return command_failed(settings, "%s; some articles are done: run the command again",
                              store_edit_error(erasing->edit));
    erasing->found += (uint64_t)store_edit_number(&call, 1);
    erasing->counted += (uint64_t)store_edit_number(&call, 2);
    erasing->damaged += (uint64_t)store_edit_number(&call, 3);
    store_edit_release(&call, 1);
    return 0;
}

static int on_article(void *user, const char *article, size_t bytes)
{
    struct erasing *erasing = user;
    if (!article_valid(article, bytes))
        return 0;
    erasing->articles++;
    memcpy(erasing->article[erasing->n], article, bytes);
    erasing->bytes[erasing->n] = bytes;
    /* The source of FORMATS.md 4.3 is the first letter of its word: u, c or t. */
    uint64_t hash = reader_hash(&erasing->key, article, bytes, erasing->settings->source[0],
                                erasing->reader, erasing->reader_bytes);
    bytes_put_u64(erasing->hash[erasing->n++], hash);
    return erasing->n == SLICE ? flush_slice(erasing) : 0;
}

static int all_articles(struct erasing *erasing)
{
    int status = 0;
    for (uint32_t i = 0; i < store_view_shards(erasing->store) && status == 0; i++) {
        erasing->shard = i;
        status = store_view_articles(erasing->store, i, on_article, erasing);
        if (status < 0)
            status = command_failed(erasing->settings,
                                    "%s; some articles are done: run the command again",
                                    store_view_error(erasing->store));
        if (status == 0)
            status = flush_slice(erasing);
    }
    return status;
}

static void erase_print(const struct erasing *erasing)
{
    const bool keep = strcmp(erasing->settings->counts, "keep") == 0,
               dry = erasing->settings->dry_run;
    if (erasing->settings->json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddBoolToObject(object, "dry_run", dry);
        json_out_whole(object, "articles", (int64_t)erasing->articles);
        json_out_whole(object, "registers", (int64_t)erasing->found);
        json_out_whole(object, "counted", (int64_t)erasing->counted);
        cJSON_AddBoolToObject(object, "kept_in_bases", keep);
        json_out_whole(object, "damaged_articles", (int64_t)erasing->damaged);
        json_out_print(object, stdout);
        return;
    }
    printf("%" PRIu64 " registers of %" PRIu64 " articles %s; the %" PRIu64 " that counted %s\n",
           erasing->found, erasing->articles, dry ? "would be erased" : "are erased",
           erasing->counted, keep ? "stay as numbers in the bases" : "are taken from the totals");
    printf("reactions of this reader that still wait in a spool will be counted after this: run "
           "the command again once they are applied\n");
}

static int erase_say(const struct erasing *erasing)
{
    erase_print(erasing);
    if (erasing->damaged > 0)
        return command_refused(erasing->settings,
                               "%" PRIu64
                               " articles have a head, base or bucket of an unknown form, "
                               "and were left alone; tally audit says more",
                               erasing->damaged);
    return COMMAND_DONE;
}

static int erase_work(struct erasing *erasing)
{
    int status = check_key(erasing);
    if (status == COMMAND_DONE)
        status = all_articles(erasing);
    if (status == COMMAND_DONE)
        status = command_replicated(erasing->settings, erasing->edit, status);
    return status == COMMAND_DONE ? erase_say(erasing) : status;
}

static int erase_perform(const struct operate_settings *settings,
                         const struct links_secrets *secrets)
{
    static struct erasing erasing; /* large */
    struct error why;
    int status = COMMAND_FAILED;
    erasing.settings = settings;
    if (reader_key_load(&erasing.key, settings->key_file, &why) != 0) {
        status = command_failed(settings, "option key_file: %s", why.text);
        goto out;
    }
    if (read_reader(&erasing, &why) != 0) {
        status = command_failed(settings, "%s", why.text);
        goto out;
    }
    erasing.store = command_open(settings, secrets, &erasing.edit);
    if (erasing.store == NULL)
        goto out;
    status = erase_work(&erasing);
    command_close(erasing.store, erasing.edit);
out:
    sodium_memzero(&erasing, sizeof erasing);
    return command_printed(settings, status);
}

int erase_run(int argc, char **argv)
{
    return command_run(OPERATE_ERASE, argc, argv, erase_perform);
}
