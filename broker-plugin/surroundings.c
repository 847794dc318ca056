#include "surroundings.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CMDLINE_MAX_BYTES 8192
#define PATH_MAX_BYTES 4096

static void read_file(struct surroundings *out, const char *path, bool follow);

static void read_folder(struct surroundings *out, const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char file[PATH_MAX_BYTES];
        size_t bytes = strlen(entry->d_name);
        if (bytes < 6 || strcmp(entry->d_name + bytes - 5, ".conf") != 0)
            continue;
        if (snprintf(file, sizeof file, "%s/%s", path, entry->d_name) < (int)sizeof file)
            read_file(out, file, false);
    }
    closedir(folder);
}

static void read_line(struct surroundings *out, char *line, bool follow)
{
    char *rest, *key = strtok_r(line, " \t\r\n", &rest);
    char *value = key == NULL ? NULL : strtok_r(NULL, "\r\n", &rest);
    if (value == NULL)
        return;
    value += strspn(value, " \t");
    bool yes = strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
    if (strcmp(key, "per_listener_settings") == 0)
        out->per_listener_settings = yes;
    else if (strcmp(key, "persistence") == 0)
        out->persistence = yes;
    else if (follow && strcmp(key, "include_dir") == 0)
        read_folder(out, value);
}

static void read_file(struct surroundings *out, const char *path, bool follow)
{
    char line[PATH_MAX_BYTES];
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    while (fgets(line, sizeof line, file) != NULL)
        read_line(out, line, follow);
    (void)fclose(file);
}

void surroundings_read_file(struct surroundings *out, const char *path)
{
    *out = (struct surroundings){0};
    read_file(out, path, true);
}

void surroundings_read(struct surroundings *out)
{
    char cmdline[CMDLINE_MAX_BYTES];
    *out = (struct surroundings){0};
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t bytes = read(fd, cmdline, sizeof cmdline - 1);
    (void)close(fd);
    if (bytes <= 0)
        return;
    cmdline[bytes] = '\0';
    for (char *arg = cmdline; arg < cmdline + bytes; arg += strlen(arg) + 1) {
        char *next = arg + strlen(arg) + 1;
        if ((strcmp(arg, "-c") == 0 || strcmp(arg, "--config-file") == 0) && next < cmdline + bytes)
            surroundings_read_file(out, next);
    }
}
