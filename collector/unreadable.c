/* Moves unreadable rings out of the way, and remembers those it could not move. */
#include "unreadable.h"

#include "daemon/log.h"

static bool is_listed(const struct spool_consumer_old *file, const struct spool_consumer_old *list,
                      int n)
{
    for (int i = 0; i < n; i++)
        if (list[i].shard == file->shard && list[i].name_id == file->name_id)
            return true;
    return false;
}

bool unreadable_put_away(struct unreadable *unreadable, struct spool *spool,
                         const struct spool_consumer_old *file, const char *why)
{
    if (is_listed(file, unreadable->file, unreadable->n)) {
        (void)spool_consumer_put_away(spool, file); /* again each second */
        return false;
    }
    log_line(LOG_LEVEL_ERROR, "cannot read an old ring: putting it away", "path=%s reason=%s",
             file->path, why);
    if (spool_consumer_put_away(spool, file) >= 0)
        return true;
    log_line(LOG_LEVEL_ERROR, "cannot put an unreadable ring away: retrying every second",
             "path=%s", file->path);
    if (unreadable->n < UNREADABLE_MAX)
        unreadable->file[unreadable->n++] = *file;
    return true;
}

void unreadable_keep(struct unreadable *unreadable, const struct spool_consumer_old *list, int n)
{
    for (int i = unreadable->n - 1; i >= 0; i--)
        if (!is_listed(&unreadable->file[i], list, n))
            unreadable->file[i] = unreadable->file[--unreadable->n];
}
