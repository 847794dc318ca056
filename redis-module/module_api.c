/* Finds the module API's functions by name, with the function that every context begins with. */
#include "module_api.h"

#include <string.h>

typedef int module_api_get(const char *name, void *out);

const char *module_api_find(struct module_api *api, RedisModuleCtx *ctx)
{
    static const struct {
        const char *name;
        size_t at;
    } wanted[] = {
        {"RedisModule_SetModuleAttribs", offsetof(struct module_api, set_module_attribs)},
        {"RedisModule_CreateCommand", offsetof(struct module_api, create_command)},
        {"RedisModule_GetCommand", offsetof(struct module_api, get_command)},
        {"RedisModule_GetContextFlags", offsetof(struct module_api, get_context_flags)},
        {"RedisModule_Alloc", offsetof(struct module_api, alloc)},
        {"RedisModule_Free", offsetof(struct module_api, free)},
        {"RedisModule_CreateString", offsetof(struct module_api, create_string)},
        {"RedisModule_FreeString", offsetof(struct module_api, free_string)},
        {"RedisModule_RetainString", offsetof(struct module_api, retain_string)},
        {"RedisModule_StringPtrLen", offsetof(struct module_api, string_ptr_len)},
        {"RedisModule_StringToLongLong", offsetof(struct module_api, string_to_long_long)},
        {"RedisModule_OpenKey", offsetof(struct module_api, open_key)},
        {"RedisModule_CloseKey", offsetof(struct module_api, close_key)},
        {"RedisModule_KeyType", offsetof(struct module_api, key_type)},
        {"RedisModule_ValueLength", offsetof(struct module_api, value_length)},
        {"RedisModule_DeleteKey", offsetof(struct module_api, delete_key)},
        {"RedisModule_HashGet", offsetof(struct module_api, hash_get)},
        {"RedisModule_HashSet", offsetof(struct module_api, hash_set)},
        {"RedisModule_ZsetAdd", offsetof(struct module_api, zset_add)},
        {"RedisModule_ZsetRem", offsetof(struct module_api, zset_rem)},
        {"RedisModule_ScanCursorCreate", offsetof(struct module_api, scan_cursor_create)},
        {"RedisModule_ScanCursorDestroy", offsetof(struct module_api, scan_cursor_destroy)},
        {"RedisModule_ScanKey", offsetof(struct module_api, scan_key)},
        {"RedisModule_Call", offsetof(struct module_api, call)},
        {"RedisModule_FreeCallReply", offsetof(struct module_api, free_call_reply)},
        {"RedisModule_Replicate", offsetof(struct module_api, replicate)},
        {"RedisModule_PublishMessageShard", offsetof(struct module_api, publish_message_shard)},
        {"RedisModule_ReplyWithError", offsetof(struct module_api, reply_with_error)},
        {"RedisModule_ReplyWithArray", offsetof(struct module_api, reply_with_array)},
        {"RedisModule_ReplyWithLongLong", offsetof(struct module_api, reply_with_long_long)},
        {"RedisModule_ReplyWithStringBuffer",
         offsetof(struct module_api, reply_with_string_buffer)},
    };
    module_api_get *get;
    memcpy(&get, ctx, sizeof get);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if (get(wanted[i].name, (char *)api + wanted[i].at) != MODULE_API_OK)
            return wanted[i].name;
    if (get("RedisModule_SetCommandACLCategories", &api->set_command_acl_categories) !=
        MODULE_API_OK)
        api->set_command_acl_categories = NULL;
    return NULL;
}
