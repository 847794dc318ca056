/* Slicing by eight in portable C, and the processor's instruction where there is one. */
#include "core/crc32c.h"

#include "core/bytes.h"

#if defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

/* Slicing by eight (Kounavis and Berry, "A systematic approach to building high performance
 * software-based CRC generators", 2005). A CRC is linear: an entry is the sum of the entries of its
 * bits, so eight numbers define a whole table. */
#define E(i, a, b, c, d, e, f, g, h)                                                               \
    (((i)&1u ? (a) : 0u) ^ ((i)&2u ? (b) : 0u) ^ ((i)&4u ? (c) : 0u) ^ ((i)&8u ? (d) : 0u) ^       \
     ((i)&16u ? (e) : 0u) ^ ((i)&32u ? (f) : 0u) ^ ((i)&64u ? (g) : 0u) ^ ((i)&128u ? (h) : 0u))
#define E4(i, ...)                                                                                 \
    E(i, __VA_ARGS__), E((i) + 1, __VA_ARGS__), E((i) + 2, __VA_ARGS__), E((i) + 3, __VA_ARGS__)
#define E16(i, ...)                                                                                \
    E4(i, __VA_ARGS__), E4((i) + 4, __VA_ARGS__), E4((i) + 8, __VA_ARGS__),                        \
        E4((i) + 12, __VA_ARGS__)
#define E64(i, ...)                                                                                \
    E16(i, __VA_ARGS__), E16((i) + 16, __VA_ARGS__), E16((i) + 32, __VA_ARGS__),                   \
        E16((i) + 48, __VA_ARGS__)
#define T(...)                                                                                     \
    {                                                                                              \
        E64(0u, __VA_ARGS__), E64(64u, __VA_ARGS__), E64(128u, __VA_ARGS__),                       \
            E64(192u, __VA_ARGS__)                                                                 \
    }

/* table[k][i]: what byte i becomes after k more zero bytes, polynomial 0x82f63b78 (reflected). */
static const uint32_t table[8][256] = {
    T(0xf26b8303u, 0xe13b70f7u, 0xc79a971fu, 0x8ad958cfu, 0x105ec76fu, 0x20bd8edeu, 0x417b1dbcu,
      0x82f63b78u),
    T(0x13a29877u, 0x274530eeu, 0x4e8a61dcu, 0x9d14c3b8u, 0x3fc5f181u, 0x7f8be302u, 0xff17c604u,
      0xfbc3faf9u),
    T(0xa541927eu, 0x4f6f520du, 0x9edea41au, 0x38513ec5u, 0x70a27d8au, 0xe144fb14u, 0xc76580d9u,
      0x8b277743u),
    T(0xdd45aab8u, 0xbf672381u, 0x7b2231f3u, 0xf64463e6u, 0xe964b13du, 0xd725148bu, 0xaba65fe7u,
      0x52a0c93fu),
    T(0x38116facu, 0x7022df58u, 0xe045beb0u, 0xc5670b91u, 0x8f2261d3u, 0x1ba8b557u, 0x37516aaeu,
      0x6ea2d55cu),
    T(0xef306b19u, 0xdb8ca0c3u, 0xb2f53777u, 0x6006181fu, 0xc00c303eu, 0x85f4168du, 0x0e045bebu,
      0x1c08b7d6u),
    T(0x68032cc8u, 0xd0065990u, 0xa5e0c5d1u, 0x4e2dfd53u, 0x9c5bfaa6u, 0x3d5b83bdu, 0x7ab7077au,
      0xf56e0ef4u),
    T(0x493c7d27u, 0x9278fa4eu, 0x211d826du, 0x423b04dau, 0x847609b4u, 0x0d006599u, 0x1a00cb32u,
      0x34019664u),
};

uint32_t crc32c_by_table(uint32_t crc, const void *data, size_t bytes)
{
    const unsigned char *in = data;
    crc = ~crc;
    for (; bytes >= 8; in += 8, bytes -= 8) {
        uint32_t low = bytes_get_u32(in) ^ crc;
        crc = table[7][low & 255u] ^ table[6][low >> 8 & 255u] ^ table[5][low >> 16 & 255u] ^
              table[4][low >> 24] ^ table[3][in[4]] ^ table[2][in[5]] ^ table[1][in[6]] ^
              table[0][in[7]];
    }
    for (; bytes > 0; in++, bytes--)
        crc = crc >> 8 ^ table[0][(crc ^ *in) & 255u];
    return ~crc;
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const void *data,
                                                                 size_t bytes)
{
    const unsigned char *in = data;
    uint64_t wide = ~crc;
    for (; bytes >= 8; in += 8, bytes -= 8)
        wide = __builtin_ia32_crc32di(wide, bytes_get_u64(in));
    uint32_t narrow = (uint32_t)wide;
    if (bytes >= 4) {
        narrow = __builtin_ia32_crc32si(narrow, bytes_get_u32(in));
        in += 4;
        bytes -= 4;
    }
    for (; bytes > 0; in++, bytes--)
        narrow = __builtin_ia32_crc32qi(narrow, *in);
    return ~narrow;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t bytes)
{
    if (__builtin_cpu_supports("sse4.2"))
        return by_instruction(crc, data, bytes);
    return crc32c_by_table(crc, data, bytes);
}

#elif defined(__ARM_FEATURE_CRC32)

uint32_t crc32c(uint32_t crc, const void *data, size_t bytes)
{
    const unsigned char *in = data;
    crc = ~crc;
    for (; bytes >= 8; in += 8, bytes -= 8)
        crc = __crc32cd(crc, bytes_get_u64(in));
    for (; bytes > 0; in++, bytes--)
        crc = __crc32cb(crc, *in);
    return ~crc;
}

#else

uint32_t crc32c(uint32_t crc, const void *data, size_t bytes)
{
    return crc32c_by_table(crc, data, bytes);
}

#endif
