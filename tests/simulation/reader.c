#include "reader.h"

#include "broker.h"
#include "world.h"

#include <string.h>

#define UNDER_WAY 24

struct request {
    bool there, settled;
    int kind;
    uint64_t click_us;
    uint32_t first_send;
};

uint32_t reader_loses_percent;
static struct request requests[WORLD_READERS][WORLD_ARTICLES];
static struct broker_message under_way[UNDER_WAY];
static unsigned n_under_way;
static uint32_t sends;

void reader_begin(void)
{
    memset(requests, 0, sizeof requests);
    n_under_way = 0;
    sends = 0;
    reader_loses_percent = 0;
}

static void post(unsigned reader, unsigned article, unsigned edge, uint32_t age_ms)
{
    const struct request *request = &requests[reader][article];
    if (n_under_way == UNDER_WAY || sends == READER_SENDS_MAX)
        return;
    under_way[n_under_way++] = (struct broker_message){
        .reader = reader,
        .edge = edge,
        .article = article,
        .kind = request->kind,
        .send = ++sends,
        .click_us = request->click_us,
        .sent_us = world.us,
        .age_ms = age_ms,
    };
    world_tell("reader %u requests %s for article %u: message %u to edge %u, age %u ms", reader,
               world.kinds.name[request->kind], article, sends, edge, age_ms);
}

void reader_click(unsigned reader, unsigned article, int kind, unsigned edge)
{
    requests[reader][article] = (struct request){
        .there = true, .kind = kind, .click_us = world.us, .first_send = sends + 1};
    post(reader, article, edge, 0);
}

bool reader_repeat(unsigned reader, unsigned article, unsigned edge, bool plain)
{
    const struct request *request = &requests[reader][article];
    if (!request->there || request->settled)
        return false;
    post(reader, article, edge, plain ? 0 : (uint32_t)((world.us - request->click_us) / 1000));
    return true;
}

bool reader_network(bool gentle, bool torn)
{
    if (n_under_way == 0)
        return false;
    unsigned i = gentle ? 0 : dice_below(&world.dice, n_under_way);
    struct broker_message message = under_way[i];
    bool stays = !gentle && dice_percent(&world.dice, 10);
    bool arrives = gentle || !dice_percent(&world.dice, reader_loses_percent);
    if (!stays) {
        n_under_way--;
        memmove(&under_way[i], &under_way[i + 1], (n_under_way - i) * sizeof under_way[0]);
    }
    if (arrives && broker[message.edge].up)
        broker_admit(&message, torn);
    else
        world_tell("message %u is lost", message.send);
    return true;
}

void reader_receipt(const char *client, const char *payload, const unsigned char *correlation,
                    size_t bytes)
{
    unsigned reader = (unsigned)(client[4] - '0');
    uint32_t sent;
    (void)payload;
    if (bytes != sizeof sent || reader >= WORLD_READERS ||
        dice_percent(&world.dice, reader_loses_percent))
        return;
    memcpy(&sent, correlation, sizeof sent);
    for (unsigned a = 0; a < WORLD_ARTICLES; a++)
        if (requests[reader][a].there && sent >= requests[reader][a].first_send &&
            strstr(payload, world.article[a].name) != NULL)
            requests[reader][a].settled = true;
}

bool reader_settled(bool repeat)
{
    bool all = n_under_way == 0;
    for (unsigned r = 0; r < world.readers; r++)
        for (unsigned a = 0; a < world.articles; a++) {
            if (!requests[r][a].there || requests[r][a].settled)
                continue;
            all = all && sends == READER_SENDS_MAX;
            if (repeat)
                reader_repeat(r, a, (r + a) % world.edges, false);
        }
    return all;
}
