/* The functions of Redis's module API (version 1, Redis 7 and Valkey 7.2 or later) that the
 * accelerator uses. Debian ships no header for modules, so this one declares them: names, arguments
 * and numbers are those of the documented API. The server finds the functions by name when it loads
 * the module. Opaque types belong to the server. Only Redis's main thread may call them. */
#ifndef TALLY_REDIS_MODULE_MODULE_API_H
#define TALLY_REDIS_MODULE_MODULE_API_H

#include <stddef.h>

typedef struct RedisModuleCtx RedisModuleCtx;
typedef struct RedisModuleCommand RedisModuleCommand;
typedef struct RedisModuleKey RedisModuleKey;
typedef struct RedisModuleString RedisModuleString;
typedef struct RedisModuleCallReply RedisModuleCallReply;
typedef struct RedisModuleScanCursor RedisModuleScanCursor;

#define MODULE_API_VERSION 1
#define MODULE_API_OK 0
#define MODULE_API_ERR 1

/* Modes of open_key: with `write`, a key that does not exist can be opened, too. */
#define MODULE_API_WRITE (1 << 1)

#define MODULE_API_TYPE_EMPTY 0
#define MODULE_API_TYPE_HASH 3
#define MODULE_API_TYPE_ZSET 5

/* Flags of hash_get and hash_set: fields are C strings. */
#define MODULE_API_HASH_NONE 0
#define MODULE_API_HASH_CFIELDS (1 << 2)

/* As a value for hash_set: delete the field. */
#define MODULE_API_HASH_DELETE ((RedisModuleString *)1)

/* Bits of get_context_flags. */
#define MODULE_API_CONTEXT_CLUSTER (1 << 5)
#define MODULE_API_CONTEXT_REPLICATED (1 << 12) /* the command comes from the primary */
#define MODULE_API_CONTEXT_LOADING (1 << 13)    /* … from the append-only file */

typedef int module_api_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);
typedef void module_api_scanned(RedisModuleKey *key, RedisModuleString *field,
                                RedisModuleString *value, void *user);

struct module_api {
    void (*set_module_attribs)(RedisModuleCtx *ctx, const char *name, int version, int api_version);
    int (*create_command)(RedisModuleCtx *ctx, const char *name, module_api_command *fn,
                          const char *flags, int first_key, int last_key, int key_step);
    RedisModuleCommand *(*get_command)(RedisModuleCtx *ctx, const char *name);
    int (*set_command_acl_categories)(RedisModuleCommand *command,
                                      const char *categories); /* NULL where Redis has none */
    int (*get_context_flags)(RedisModuleCtx *ctx);
    void *(*alloc)(size_t bytes); /* ends the server if there is no memory */
    void (*free)(void *memory);

    RedisModuleString *(*create_string)(RedisModuleCtx *ctx, const char *text, size_t bytes);
    void (*free_string)(RedisModuleCtx *ctx, RedisModuleString *string);
    void (*retain_string)(RedisModuleCtx *ctx, RedisModuleString *string);
    const char *(*string_ptr_len)(const RedisModuleString *string, size_t *bytes);
    int (*string_to_long_long)(const RedisModuleString *string, long long *out);

    void *(*open_key)(RedisModuleCtx *ctx, RedisModuleString *name, int mode);
    void (*close_key)(RedisModuleKey *key);
    int (*key_type)(RedisModuleKey *key);
    size_t (*value_length)(RedisModuleKey *key);
    int (*delete_key)(RedisModuleKey *key);
    int (*hash_get)(RedisModuleKey *key, int flags, ...); /* field, &value, …, NULL */
    int (*hash_set)(RedisModuleKey *key, int flags, ...); /* field, value, …, NULL */
    int (*zset_add)(RedisModuleKey *key, double score, RedisModuleString *member, int *flags);
    int (*zset_rem)(RedisModuleKey *key, RedisModuleString *member, int *deleted);
    RedisModuleScanCursor *(*scan_cursor_create)(void);
    void (*scan_cursor_destroy)(RedisModuleScanCursor *cursor);
    int (*scan_key)(RedisModuleKey *key, RedisModuleScanCursor *cursor, module_api_scanned *fn,
                    void *user); /* 0: that was the last */

    RedisModuleCallReply *(*call)(RedisModuleCtx *ctx, const char *command, const char *format,
                                  ...);
    void (*free_call_reply)(RedisModuleCallReply *reply);
    int (*replicate)(RedisModuleCtx *ctx, const char *command, const char *format, ...);
    int (*publish_message_shard)(RedisModuleCtx *ctx, RedisModuleString *channel,
                                 RedisModuleString *message);

    int (*reply_with_error)(RedisModuleCtx *ctx, const char *text);
    int (*reply_with_array)(RedisModuleCtx *ctx, long elements);
    int (*reply_with_long_long)(RedisModuleCtx *ctx, long long number);
    int (*reply_with_string_buffer)(RedisModuleCtx *ctx, const char *text, size_t bytes);
};

/* Finds all of them. Returns NULL, or the name of the first that this server lacks. */
const char *module_api_find(struct module_api *api, RedisModuleCtx *ctx);

#endif
