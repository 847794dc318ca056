/* The pages and scripts that the feed serves: the embedded files with the broker's address put in,
 * each also as gzip and with a tag. A part of http. Loop thread only. */
#ifndef TALLY_FEED_HTTP_FILES_H
#define TALLY_FEED_HTTP_FILES_H

#include "http_answers.h"

#include <event2/http.h>
#include <stdbool.h>

struct http_files;

/* Makes all files, with the broker as `config` has it. NULL on no memory. */
struct http_files *http_files_new(const struct http_config *config);

void http_files_free(struct http_files *files);

/* Answers with a file. `framed`: pages of other sites may show it in a frame. False if there is
 * no file of that name; then nothing is answered. */
bool http_files_answer(const struct http_files *files, struct http_answers *answers,
                       struct evhttp_request *request, const char *name, bool framed);

#endif
