#include "set_state.h"

#include "command.h"
#include "retained.h"
#include "state_change.h"

#include <stdio.h>
#include <string.h>

#define WHY_BYTES 512

struct seen {
    const char *article;
    bool large;
    size_t bytes; /* 0: nothing is retained */
    char payload[ARTICLE_STATE_PAYLOAD_MAX_BYTES + 1];
};

static void on_state(void *user, const char *article, const char *payload, size_t bytes)
{
    struct seen *seen = user;
    if (strcmp(article, seen->article) != 0)
        return;
    seen->large = bytes > ARTICLE_STATE_PAYLOAD_MAX_BYTES;
    seen->bytes = seen->large ? 0 : bytes;
    memcpy(seen->payload, payload, seen->bytes);
    seen->payload[seen->bytes] = '\0';
}

static void show(const struct operate_settings *settings, const struct seen *seen)
{
    if (seen->large)
        printf("articles/%s: over %d bytes\n", settings->article, ARTICLE_STATE_PAYLOAD_MAX_BYTES);
    else if (seen->bytes == 0)
        printf("articles/%s: none is retained: open, all kinds\n", settings->article);
    else
        printf("articles/%s: %s\n", settings->article, seen->payload);
}

/* What is to be retained: the present state with what the options change. */
static int make(const struct operate_settings *settings, const struct seen *seen,
                char out[ARTICLE_STATE_PAYLOAD_MAX_BYTES + 1], size_t *out_bytes)
{
    const struct state_change change = {
        .state = settings->state,
        .results = settings->results,
        .kinds = settings->kinds,
        .opens_at = settings->opens_at,
        .closes_at = settings->closes_at,
    };
    struct article_state state = {0};
    char why[WHY_BYTES];
    *out_bytes = 0;
    if (settings->clear)
        return COMMAND_DONE;
    if (seen->large)
        return command_refused(settings, "what is retained is over %d bytes: --clear first",
                               ARTICLE_STATE_PAYLOAD_MAX_BYTES);
    if (seen->bytes > 0 && article_state_parse(&state, settings->article, strlen(settings->article),
                                               seen->payload, seen->bytes) != 0)
        return command_refused(settings, "what is retained is no state: --clear first");
    state.version = 0; /* an operator's, whoever's it was */
    if (state_change_apply(&state, &change, why, sizeof why) != 0)
        return command_failed(settings, "%s", why);
    *out_bytes =
        article_state_write(&state, NULL, 0, false, out, ARTICLE_STATE_PAYLOAD_MAX_BYTES + 1);
    return COMMAND_DONE;
}

static int publish(const struct operate_settings *settings, struct retained *retained,
                   const char *payload, size_t bytes)
{
    int reason;
    if (retained_put_state(retained, settings->article, payload, bytes, &reason) != 0)
        return command_failed(settings, "%s", retained_error(retained));
    if (reason >= 0x80)
        return command_refused(settings, "the broker refused it (0x%02x): %s", (unsigned)reason,
                               retained_reason(reason));
    if (bytes == 0)
        printf("articles/%s: cleared\n", settings->article);
    else
        printf("articles/%s: %.*s\n", settings->article, (int)bytes, payload);
    return COMMAND_DONE;
}

static int work(const struct operate_settings *settings, struct retained *retained)
{
    struct seen seen = {.article = settings->article};
    char payload[ARTICLE_STATE_PAYLOAD_MAX_BYTES + 1];
    size_t bytes;
    bool changes = settings->clear || settings->state[0] != '\0' || settings->kinds[0] != '\0' ||
                   settings->opens_at[0] != '\0' || settings->closes_at[0] != '\0' ||
                   settings->results[0] != '\0';
    if (retained_state(retained, settings->article, on_state, &seen) != 0)
        return command_failed(settings, "%s", retained_error(retained));
    if (!changes) {
        show(settings, &seen);
        return COMMAND_DONE;
    }
    int status = make(settings, &seen, payload, &bytes);
    return status == COMMAND_DONE ? publish(settings, retained, payload, bytes) : status;
}

static int run(const struct operate_settings *settings, const struct links_secrets *secrets)
{
    char why[WHY_BYTES];
    const struct retained_config broker = {
        .host = settings->links.mqtt_host,
        .port = (int)settings->links.mqtt_port,
        .username = settings->links.user,
        .password = secrets->mqtt,
        .prefix = settings->links.topic_prefix,
    };
    struct retained *retained = retained_open(&broker, why, sizeof why);
    if (retained == NULL)
        return command_failed(settings, "%s", why);
    int status = work(settings, retained);
    retained_free(retained);
    return command_printed(settings, status);
}

int set_state_run(int argc, char **argv)
{
    return command_run(OPERATE_ARTICLE, argc, argv, run);
}
