#define _GNU_SOURCE
#include "CTenon.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statfs.h>

// Magic numbers of statfs(2), from the kernel's magic.h.
#define TENON_TMPFS_MAGIC 0x01021994
#define TENON_RAMFS_MAGIC 0x858458f6

int ctenon_allocate(int descriptor, int64_t offset, int64_t length) {
    int result;
    do {
        result = fallocate(descriptor, 0, offset, length);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : -errno;
}

int64_t ctenon_free_bytes(const char *path) {
    struct statfs information;
    if (statfs(path, &information) != 0) return -errno;
    return (int64_t)information.f_bavail * (int64_t)information.f_bsize;
}

int ctenon_is_volatile(const char *path) {
    struct statfs information;
    if (statfs(path, &information) != 0) return -errno;
    unsigned long type = (unsigned long)information.f_type & 0xffffffffUL;
    return type == TENON_TMPFS_MAGIC || type == TENON_RAMFS_MAGIC;
}
