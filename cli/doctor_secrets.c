/* The spool's owner is the collector's user: it must reach every file of the spool, and the
 * secrets. Where a user's other groups decide, owner and mode do not tell, so that is only a
 * warning. */
#include "doctor_secrets.h"

#include "core/reader.h"
#include "core/secret_file.h"
#include "core/services.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILES_MAX 4096 /* of the spool; more than 64 shards with their old rings */

bool doctor_secrets_reaches(const struct stat *folder, const struct stat *file, bool write)
{
    const mode_t want = write ? 06 : 04;
    if (folder->st_uid == 0)
        return true;
    if (file->st_uid == folder->st_uid)
        return (file->st_mode >> 6 & want) == want;
    if (file->st_gid == folder->st_gid)
        return (file->st_mode >> 3 & want) == want;
    return (file->st_mode & want) == want;
}

static const char *user_name(uid_t uid, char out[40])
{
    const struct passwd *user = getpwuid(uid);
    if (user != NULL)
        (void)snprintf(out, 40, "%.32s", user->pw_name);
    else
        (void)snprintf(out, 40, "uid %lu", (unsigned long)uid);
    return out;
}

/* --- secrets --- */

/* Whether this user, who may be neither root nor the owner, can look. */
static bool can_look(struct doctor_report *report, const char *option, const char *path)
{
    if (access(path, R_OK) == 0 || errno != EACCES)
        return true;
    doctor_report_unseen(report, "secrets", "%s: %s: %s: run it as root", option, path,
                         strerror(EACCES));
    return false;
}

/* Who may read it. `folder` NULL: the spool is not there to compare with. */
static void check_reach(struct doctor_report *report, const struct stat *folder, const char *option,
                        const char *path)
{
    struct stat file;
    char name[40];
    if (folder == NULL || stat(path, &file) != 0)
        return;
    if (!doctor_secrets_reaches(folder, &file, false))
        doctor_report_add(report, DOCTOR_WARN, "secrets",
                          "%s: %s: mode %04o may keep out %s, who owns the spool: chgrp it to the "
                          "spool's group, and chmod 0640",
                          option, path, (unsigned)file.st_mode & 07777,
                          user_name(folder->st_uid, name));
}

static void check_user(struct doctor_report *report, const struct services *services,
                       const char *path, const char *name, enum role role, const char *word)
{
    const struct service *service = name != NULL ? services_find(services, name) : NULL;
    if (name == NULL)
        return;
    if (service == NULL)
        doctor_report_add(report, DOCTOR_FAIL, "secrets",
                          "%s has no user %.64s: add a line "
                          "\"%.64s %s SECRET\"",
                          path, name, name, word);
    else if (service->role != role)
        doctor_report_add(report, DOCTOR_FAIL, "secrets", "%s: %.64s does not have the role %s",
                          path, name, word);
}

static void check_services(const struct doctor_file *file, struct doctor_report *report,
                           const struct stat *folder)
{
    static struct services services; /* large */
    struct error why;
    const char *path = doctor_file_any(file, "services_file");
    if (path == NULL || !can_look(report, "services_file", path))
        return;
    if (services_load(&services, path, &why) != 0) {
        doctor_report_add(report, DOCTOR_FAIL, "secrets", "services_file: %s", why.text);
        return;
    }
    doctor_report_add(report, DOCTOR_OK, "secrets", "services_file: %s: %d users", path,
                      services.n);
    check_user(report, &services, path, doctor_file_value(file, DOCTOR_COLLECTOR, "user"),
               ROLE_COLLECTOR, "collector");
    check_user(report, &services, path, doctor_file_value(file, DOCTOR_FEED, "user"), ROLE_FEED,
               "feed");
    sodium_memzero(&services, sizeof services);
    check_reach(report, folder, "services_file", path);
}

/* A key of the broker's own user is left alone: it may be another one than the spool's owner. */
static void check_key_reach(struct doctor_report *report, const struct stat *folder,
                            const char *path)
{
    struct stat key;
    if (stat(path, &key) == 0 && key.st_uid == 0)
        check_reach(report, folder, "key_file", path);
}

static void check_reader_key(const struct doctor_file *file, struct doctor_report *report,
                             const struct stat *folder)
{
    struct reader_key key;
    struct error why;
    const char *path = doctor_file_value(file, DOCTOR_BROKER, "key_file");
    if (path == NULL || !can_look(report, "key_file", path))
        return;
    if (reader_key_load(&key, path, &why) != 0)
        doctor_report_add(report, DOCTOR_FAIL, "secrets", "key_file: %s", why.text);
    else
        doctor_report_add(report, DOCTOR_OK, "secrets", "key_file: %s", path);
    sodium_memzero(&key, sizeof key);
    check_key_reach(report, folder, path);
}

static void check_password(const struct links *links, struct doctor_report *report,
                           const struct stat *folder)
{
    struct links_secrets secrets;
    struct error why;
    if (links->redis_password_file[0] == '\0' ||
        !can_look(report, "redis_password_file", links->redis_password_file))
        return;
    if (links_redis_load(&secrets, links, &why) != 0) {
        doctor_report_add(report, DOCTOR_FAIL, "secrets", "%s", why.text);
        return;
    }
    links_wipe(&secrets);
    doctor_report_add(report, DOCTOR_OK, "secrets", "redis_password_file: %s",
                      links->redis_password_file);
    check_reach(report, folder, "redis_password_file", links->redis_password_file);
}

/* doctor_tls looks into the files for TLS. */
static void check_redis(const struct doctor_file *file, struct doctor_report *report,
                        const struct stat *folder)
{
    static struct links links; /* large */
    if (doctor_file_links(file, &links) != 0)
        return;
    check_password(&links, report, folder);
    if (links.redis_ca_file[0] != '\0')
        check_reach(report, folder, "redis_ca_file", links.redis_ca_file);
    if (links.redis_cert_file[0] != '\0')
        check_reach(report, folder, "redis_cert_file", links.redis_cert_file);
    if (links.redis_key_file[0] != '\0')
        check_reach(report, folder, "redis_key_file", links.redis_key_file);
}

/* --- the spool --- */

static unsigned check_file(struct doctor_report *report, const struct stat *folder, int folder_fd,
                           const char *path, const char *name)
{
    struct stat status;
    char user[40];
    if (name[0] == '.' || fstatat(folder_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
        (!S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode)) ||
        doctor_secrets_reaches(folder, &status, true))
        return 0;
    doctor_report_add(report, DOCTOR_FAIL, "spool",
                      "%s/%s: mode %04o keeps out %s, who owns the spool: chgrp it to the spool's "
                      "group, and chmod 0660",
                      path, name, (unsigned)status.st_mode & 07777,
                      user_name(folder->st_uid, user));
    return 1;
}

/* One finding for the first file only: the others ail from the same. */
static void check_files(struct doctor_report *report, const struct stat *folder, const char *path)
{
    DIR *open_folder = opendir(path);
    unsigned bad = 0, n = 0;
    if (open_folder == NULL) {
        doctor_report_unseen(report, "spool", "%s: %s: run it as root", path, strerror(errno));
        return;
    }
    for (const struct dirent *entry; bad == 0 && n < FILES_MAX; n++) {
        entry = readdir(open_folder);
        if (entry == NULL)
            break;
        bad = check_file(report, folder, dirfd(open_folder), path, entry->d_name);
    }
    (void)closedir(open_folder);
    if (bad == 0)
        doctor_report_add(report, DOCTOR_OK, "spool", "%s: mode %04o", path,
                          (unsigned)folder->st_mode & 07777);
}

/* Returns 0 with its status. */
static int check_spool(const struct doctor_file *file, struct doctor_report *report,
                       struct stat *folder)
{
    const char *path = doctor_file_any(file, "spool");
    if (path == NULL)
        return -1;
    if (stat(path, folder) != 0) {
        if (errno == EACCES)
            doctor_report_unseen(report, "spool", "%s: %s: run it as root", path, strerror(errno));
        else
            doctor_report_add(report, DOCTOR_FAIL, "spool", "%s: %s", path, strerror(errno));
        return -1;
    }
    if (!S_ISDIR(folder->st_mode)) {
        doctor_report_add(report, DOCTOR_FAIL, "spool", "%s: is not a folder", path);
        return -1;
    }
    if (folder->st_mode & 07)
        doctor_report_add(
            report, DOCTOR_FAIL, "spool",
            "%s: mode %04o lets others in, who could count what they like: chmod o= it", path,
            (unsigned)folder->st_mode & 07777);
    else
        check_files(report, folder, path);
    return 0;
}

void doctor_secrets_check(const struct doctor_file *file, struct doctor_report *report)
{
    struct stat folder;
    bool has_spool = check_spool(file, report, &folder) == 0;
    check_services(file, report, has_spool ? &folder : NULL);
    check_reader_key(file, report, has_spool ? &folder : NULL);
    check_redis(file, report, has_spool ? &folder : NULL);
}
