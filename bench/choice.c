/* Draws articles, readers and kinds from a seed. */
#include "choice.h"

#include "splitmix.h"

#include <stdlib.h>
#include <string.h>

#define FRACTION 4294967296.0 /* 2^32 */

/* Walker's alias method in Vose's form: a draw takes one random number however many articles there
 * are. Article i is taken with probability keep[i] / 2^32, else alias[i]. */
struct choice {
    struct choice_config config;
    uint64_t next_reader;
    uint32_t *alias;
    uint64_t *keep;
};

/* Below n, of 32 random bits (Lemire's multiplication; the bias is n / 2^32). */
static uint32_t below(uint32_t random, uint32_t n)
{
    return (uint32_t)((uint64_t)random * n >> 32);
}

/* `share[i]` is n times the probability of article i. */
static void build(struct choice *choice, double *share, uint32_t *work)
{
    uint32_t n = choice->config.articles, small = 0, large = n;
    for (uint32_t i = 0; i < n; i++) {
        choice->keep[i] = (uint64_t)FRACTION;
        choice->alias[i] = i;
        if (share[i] < 1)
            work[small++] = i;
        else
            work[--large] = i;
    }
    while (small > 0 && large < n) {
        uint32_t less = work[--small], more = work[large];
        choice->keep[less] = (uint64_t)(share[less] * FRACTION);
        choice->alias[less] = more;
        share[more] -= 1 - share[less];
        if (share[more] < 1) {
            large++;
            work[small++] = more;
        }
    }
}

struct choice *choice_new(const struct choice_config *config)
{
    uint32_t n = config->articles;
    double *share = calloc(n, sizeof *share), sum = 0;
    uint32_t *work = calloc(n, sizeof *work);
    struct choice *choice = calloc(1, sizeof *choice);
    if (share == NULL || work == NULL || choice == NULL)
        goto fail;
    choice->config = *config;
    choice->alias = calloc(n, sizeof *choice->alias);
    choice->keep = calloc(n, sizeof *choice->keep);
    if (choice->alias == NULL || choice->keep == NULL)
        goto fail;
    for (uint32_t i = 0; i < n; i++)
        sum += share[i] = config->zipf ? 1.0 / (i + 1) : 1;
    for (uint32_t i = 0; i < n; i++)
        share[i] *= n / sum;
    build(choice, share, work);
    goto done;
fail:
    choice_free(choice);
    choice = NULL;
done:
    free(work);
    free(share);
    return choice;
}

void choice_free(struct choice *choice)
{
    if (choice == NULL)
        return;
    free(choice->alias);
    free(choice->keep);
    free(choice);
}

void choice_begin(struct choice_memory *memory, uint64_t seed, uint32_t number)
{
    memset(memory, 0, sizeof *memory);
    memory->random = seed ^ ((uint64_t)number << 32);
    memory->random = splitmix_next(&memory->random);
    memory->turn = number;
}

static uint32_t draw_article(const struct choice *choice, uint64_t random)
{
    uint32_t i = below((uint32_t)(random >> 32), choice->config.articles);
    return (random & 0xffffffffu) < choice->keep[i] ? i : choice->alias[i];
}

static struct choice_reaction first(struct choice *choice, struct choice_memory *memory)
{
    struct choice_reaction reaction = {
        .article = draw_article(choice, splitmix_next(&memory->random)),
        .kind = (uint8_t)(1 + memory->turn++ % choice->config.kinds),
        .before = -1,
        .reader = choice->next_reader++,
    };
    if (choice->config.readers > 0)
        reaction.reader %= choice->config.readers;
    if (memory->n < CHOICE_PAST)
        memory->past[memory->n++] = reaction;
    else
        memory->past[memory->turn % CHOICE_PAST] = reaction;
    return reaction;
}

struct choice_reaction choice_next(struct choice *choice, struct choice_memory *memory)
{
    const struct choice_config *config = &choice->config;
    if (memory->n == 0 || config->changes + config->retractions == 0)
        return first(choice, memory);
    uint64_t random = splitmix_next(&memory->random);
    uint32_t percent = below((uint32_t)random, 100);
    if (percent >= config->changes + config->retractions)
        return first(choice, memory);
    struct choice_reaction *past = &memory->past[below((uint32_t)(random >> 32), memory->n)];
    past->before = past->kind;
    past->kind = percent < config->changes ? (uint8_t)(1 + past->kind % config->kinds) : 0;
    return *past;
}

const char *choice_kind(uint8_t kind)
{
    static const char *const names[CHOICE_KINDS + 1] = {"none",  "like",  "dislike", "love",
                                                        "funny", "angry", "sad",     "wow"};
    return names[kind];
}
