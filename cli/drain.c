/* Looks again and again until nothing is left or the time is over. The broker must have stopped: it
 * could admit another reaction at any moment. */
#include "drain.h"

#include "command.h"
#include "drain_look.h"
#include "json_out.h"

#include "daemon/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LOOK_MS 100

struct draining {
    const struct operate_settings *settings;
    const struct links_secrets *secrets;
    struct store_view *store; /* NULL: not open yet */
    struct drain_marks marks;
    struct drain_look look;
    bool looked; /* `look` is of the last try; else `why` is */
    struct error why;
};

/* Returns whether nothing is left. */
static bool look_once(struct draining *draining)
{
    const struct operate_settings *settings = draining->settings;
    const char *password = draining->secrets->redis[0] != '\0' ? draining->secrets->redis : NULL;
    bool replicas = strcmp(settings->durability, "replicas") == 0;
    draining->looked = false;
    if (draining->store == NULL)
        draining->store = store_view_open(&settings->links, password, &draining->why);
    if (draining->store == NULL)
        return false;
    draining->looked = drain_look_take(&draining->look, settings->spool, draining->store,
                                       replicas ? &draining->marks : NULL, &draining->why) == 0;
    return draining->looked && !draining->look.broker && !draining->look.left;
}

static int say_what_is_left(const struct draining *draining)
{
    const struct operate_settings *settings = draining->settings;
    const struct drain_look *look = &draining->look;
    if (!draining->looked)
        return command_failed(settings, "cannot tell what is left: %s", draining->why.text);
    for (uint32_t shard = 0; shard < look->shards; shard++)
        if (look->of[shard].why[0] != '\0')
            (void)command_failed(settings, "shard %" PRIu32 ": %s", shard, look->of[shard].why);
    if (look->broker)
        (void)command_failed(settings, "the broker still has the spool open: stop it first");
    return COMMAND_FAILED;
}

/* What is left is also on stderr. */
static void drain_json(const struct draining *draining, bool drained)
{
    const struct drain_look *look = &draining->look;
    cJSON *object = cJSON_CreateObject();
    cJSON_AddBoolToObject(object, "drained", drained);
    cJSON_AddStringToObject(object, "why", draining->looked ? "" : draining->why.text);
    if (draining->looked) {
        json_out_hex(object, "edge", look->edge);
        json_out_whole(object, "shards", look->shards);
        cJSON_AddBoolToObject(object, "broker", look->broker);
        cJSON *left = cJSON_AddArrayToObject(object, "left");
        for (uint32_t shard = 0; shard < look->shards; shard++) {
            if (look->of[shard].why[0] == '\0')
                continue;
            cJSON *one = cJSON_CreateObject();
            json_out_whole(one, "shard", shard);
            json_out_whole(one, "waiting", (int64_t)look->of[shard].waiting);
            cJSON_AddStringToObject(one, "why", look->of[shard].why);
            cJSON_AddItemToArray(left, one);
        }
    }
    json_out_print(object, stdout);
}

static void drain_nap(struct draining *draining)
{
    const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
    if (draining->store != NULL)
        store_nodes_nap(store_view_nodes(draining->store), LOOK_MS);
    else
        nanosleep(&pause, NULL);
}

static int drain_perform(const struct operate_settings *settings,
                         const struct links_secrets *secrets)
{
    static struct draining draining; /* large */
    const uint64_t limit_ms = clock_monotonic_ms() + settings->timeout_s * 1000;
    draining.settings = settings;
    draining.secrets = secrets;
    bool drained = look_once(&draining);
    while (!drained && clock_monotonic_ms() < limit_ms) {
        drain_nap(&draining);
        drained = look_once(&draining);
    }
    int status = drained ? COMMAND_DONE : say_what_is_left(&draining);
    if (settings->json)
        drain_json(&draining, drained);
    else if (drained)
        printf("edge %016" PRIx64 ": nothing is left in the rings of %" PRIu32 " shards%s\n",
               draining.look.edge, draining.look.shards,
               strcmp(settings->durability, "replicas") == 0 ? ", and a replica has all" : "");
    store_view_free(draining.store);
    return command_printed(settings, status);
}

int drain_run(int argc, char **argv)
{
    return command_run(OPERATE_DRAIN, argc, argv, drain_perform);
}
