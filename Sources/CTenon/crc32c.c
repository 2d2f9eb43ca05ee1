#include "CTenon.h"

#include <string.h>

// The table is computed once, before main, so that no reader sees it half made.
static uint32_t table[256];

__attribute__((constructor)) static void fill_table(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0x82F63B78u & (0u - (crc & 1)));
        table[byte] = crc;
    }
}

uint32_t ctenon_crc32c_portable(uint32_t crc, const void *bytes, size_t length) {
    const uint8_t *at = bytes;
    crc = ~crc;
    while (length--) crc = table[(crc ^ *at++) & 0xff] ^ (crc >> 8);
    return ~crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t hardware(
    uint32_t crc, const uint8_t *at, size_t length) {
    uint64_t wide = ~crc;
    while (length >= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        wide = _mm_crc32_u64(wide, word);
        at += 8;
        length -= 8;
    }
    uint32_t narrow = (uint32_t)wide;
    while (length--) narrow = _mm_crc32_u8(narrow, *at++);
    return ~narrow;
}

static int has_hardware;

__attribute__((constructor)) static void detect_hardware(void) {
    __builtin_cpu_init();
    has_hardware = __builtin_cpu_supports("sse4.2") != 0;
}

uint32_t ctenon_crc32c(uint32_t crc, const void *bytes, size_t length) {
    return has_hardware ? hardware(crc, bytes, length)
                        : ctenon_crc32c_portable(crc, bytes, length);
}
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>

uint32_t ctenon_crc32c(uint32_t crc, const void *bytes, size_t length) {
    const uint8_t *at = bytes;
    crc = ~crc;
    while (length >= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        crc = __crc32cd(crc, word);
        at += 8;
        length -= 8;
    }
    while (length--) crc = __crc32cb(crc, *at++);
    return ~crc;
}
#else
uint32_t ctenon_crc32c(uint32_t crc, const void *bytes, size_t length) {
    return ctenon_crc32c_portable(crc, bytes, length);
}
#endif
