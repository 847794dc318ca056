/* Reads all secrets first, then hands them to both links, then logs what changed. */
#include "daemon/reload.h"

#include "daemon/log.h"

void reload_secrets(const struct links *links, enum role role, const struct reload_to *to)
{
    struct links_secrets secrets;
    struct error why;
    if (links_secrets_load(&secrets, links, role, &why) != 0) {
        log_line(LOG_LEVEL_ERROR, "cannot reload secrets: keeping the old ones", "reason=%s",
                 why.text);
        return;
    }
    int broker = to->broker(to->user, secrets.mqtt);
    int redis = to->redis(to->user, secrets.redis[0] != '\0' ? secrets.redis : NULL);
    links_wipe(&secrets);
    if (broker < 0 || redis < 0)
        log_line(LOG_LEVEL_ERROR, "cannot apply all reloaded secrets: send SIGHUP again",
                 "reason=no memory broker=%d redis=%d", broker, redis);
    else if (broker + redis == 0)
        log_line(LOG_LEVEL_INFO, "secrets are unchanged", NULL);
    else
        log_line(LOG_LEVEL_INFO, "secrets reloaded", "changed=%s",
                 broker == 0  ? "redis"
                 : redis == 0 ? "broker"
                              : "broker,redis");
}
